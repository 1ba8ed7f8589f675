//! The local stack: a libSQL file behind `sentinel db`, and the worker in workerd under wrangler.
//!
//! Everything listens on loopback on a free port. Each process leads its own group, and dropping it stops that group,
//! so wrangler's children do not outlive a failed test. A watcher stops the group if this process ends without dropping
//! anything, by Ctrl-C or killed.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The longest a server may take to answer its first request.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The first port that [`free_port`] tries.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 20_000;

/// The configuration that starts the worker, in the format of
/// <https://github.com/cloudflare/workerd/blob/main/src/workerd/server/workerd.capnp>.
const WORKERD_CONFIG: &str = r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:PORT", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  compatibilityDate = "2026-04-01",
  bindings = [BINDINGS],
);
"#;

/// Where the built programs are; `cargo xtask` sets each variable.
#[derive(Clone)]
pub struct Programs {
    /// `SENTINEL_BIN`: the native binary.
    pub sentinel: PathBuf,
    /// `SENTINEL_TOOLS`: the folder with `node_modules`.
    pub tools: PathBuf,
    /// `SENTINEL_WORKER`: the folder worker-build wrote.
    pub worker: PathBuf,
}

/// A process group that ends when this is dropped, or when this process ends.
pub struct Server {
    child: Child,
    watcher: Watcher,
    /// The address at which it answers.
    pub url: String,
    log: PathBuf,
}

/// Waits for the end of its standard input, which comes when this process ends, however that is; then stops a group.
struct Watcher(Child);

/// The worker's settings for one start.
#[derive(Default, Clone)]
pub struct Settings {
    /// (name, value) of each variable and secret.
    pub vars: Vec<(&'static str, String)>,
    /// Fixed port; 0 picks a free one.
    pub port: u16,
    /// Events a minute of one installation; None keeps `wrangler.toml`'s.
    pub webhook_limit: Option<u32>,
    /// Calls a minute of one key; None keeps `wrangler.toml`'s.
    pub api_limit: Option<u32>,
}

/// When a started server counts as ready.
#[derive(Clone, Copy)]
enum Ready {
    /// This path is answered.
    Answers(&'static str),
    /// A connection is taken: its first request is still to come.
    Listens,
    /// It was started; it may end before it could be asked anything.
    Started,
}

// === impl Programs ===

impl Programs {
    /// Reads the variables `cargo xtask` sets.
    ///
    /// # Errors
    /// One of them is not set.
    pub fn from_env() -> Result<Self> {
        Self::of(|name| std::env::var_os(name))?.context("SENTINEL_BIN is not set: run `cargo xtask test`")
    }

    /// The programs, or None where `cargo xtask` did not start this process. Only then may a test be left out.
    ///
    /// # Panics
    /// `cargo xtask` started this process, and one of its variables is missing.
    #[must_use]
    pub fn or_skip() -> Option<Self> {
        let programs =
            Self::of(|name| std::env::var_os(name)).expect("`cargo xtask` sets all of its variables");
        if programs.is_none() {
            eprintln!("skipped: SENTINEL_BIN is not set; run `cargo xtask test`");
        }
        programs
    }

    /// Reads each variable with `lookup`. SENTINEL_TOOLS alone means nothing, because people set it for `cargo xtask`.
    fn of(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>> {
        if lookup("SENTINEL_BIN").is_none() && lookup("SENTINEL_WORKER").is_none() {
            return Ok(None);
        }
        let path = |name: &str| {
            let value = lookup(name).with_context(|| format!("{name} is not set: run `cargo xtask test`"))?;
            Ok::<_, anyhow::Error>(PathBuf::from(value))
        };
        Ok(Some(Self {
            sentinel: path("SENTINEL_BIN")?,
            tools: path("SENTINEL_TOOLS")?,
            worker: path("SENTINEL_WORKER")?,
        }))
    }

    /// Starts `sentinel db` on `file`; `port` 0 picks a free one.
    pub fn start_database(&self, file: &Path, port: u16, token: &str) -> Result<Server> {
        let port = if port == 0 { free_port()? } else { port };
        let mut command = Command::new(&self.sentinel);
        command.arg("db").arg("--file").arg(file).args([
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--token",
            token,
        ]);
        Server::start(command, port, &file.with_extension("log"), Ready::Answers("/health"))
    }

    /// Starts a `sentinel serve` that is expected to die.
    pub fn start_dying_node(&self, folder: &Path, vars: &[(&'static str, String)]) -> Result<Server> {
        self.node(folder, free_port()?, vars, Ready::Started)
    }

    /// Starts `sentinel serve` with these variables; `port` 0 picks a free one.
    pub fn start_node(&self, folder: &Path, port: u16, vars: &[(&'static str, String)]) -> Result<Server> {
        self.node(folder, port, vars, Ready::Answers("/healthz"))
    }

    fn node(
        &self,
        folder: &Path,
        port: u16,
        vars: &[(&'static str, String)],
        ready: Ready,
    ) -> Result<Server> {
        let port = if port == 0 { free_port()? } else { port };
        std::fs::create_dir_all(folder)?;
        let mut command = Command::new(&self.sentinel);
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        command.envs(vars.iter().map(|(name, value)| (*name, value)));
        Server::start(command, port, &folder.join("node.log"), ready)
    }

    /// Starts the worker in workerd, keeping its state and log in `folder`.
    pub fn start_worker(&self, folder: &Path, settings: &Settings) -> Result<Server> {
        let port = if settings.port == 0 { free_port()? } else { settings.port };
        std::fs::create_dir_all(folder)?;
        let config = folder.join("wrangler.toml");
        std::fs::write(&config, self.wrangler_config(settings)?)?;
        let mut command = Command::new(self.tools.join("node_modules/.bin/wrangler"));
        command
            .current_dir(folder)
            .args([
                "dev",
                "--local",
                "--ip",
                "127.0.0.1",
                "--show-interactive-dev-session=false",
                "--test-scheduled",
            ])
            .args(["--port", &port.to_string(), "--inspector-port", &free_port()?.to_string()])
            .arg("--config")
            .arg(&config)
            .arg("--persist-to")
            .arg(folder.join("state"))
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("WRANGLER_LOG_PATH", folder.join("wrangler-logs"))
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("CI", "1");
        Server::start(command, port, &folder.join("worker.log"), Ready::Answers("/health"))
    }

    /// Starts the worker in workerd alone, as a deployment runs it: without wrangler's proxy in front, and
    /// without the rate limiters, which wrangler simulates.
    pub fn start_workerd(&self, folder: &Path, vars: &[(&'static str, String)]) -> Result<Server> {
        std::fs::create_dir_all(folder)?;
        for file in ["index.js", "index_bg.wasm"] {
            std::fs::copy(self.worker.join(file), folder.join(file))
                .with_context(|| format!("copying {file}"))?;
        }
        let port = free_port()?;
        let bindings: Vec<String> =
            vars.iter().map(|(name, value)| format!("(name = {name:?}, text = {value:?})")).collect();
        let config = folder.join("config.capnp");
        std::fs::write(
            &config,
            WORKERD_CONFIG.replace("PORT", &port.to_string()).replace("BINDINGS", &bindings.join(", ")),
        )?;
        let packages = self.tools.join("node_modules/@cloudflare");
        let workerd = std::fs::read_dir(&packages)?
            .filter_map(|entry| Some(entry.ok()?.path().join("bin/workerd")))
            .find(|path| path.exists())
            .context("wrangler brings a workerd")?;
        let mut command = Command::new(workerd);
        command.arg("serve").arg(&config);
        Server::start(command, port, &folder.join("workerd.log"), Ready::Listens)
    }

    /// The repository's own `wrangler.toml`, with the built worker in place and these variables.
    fn wrangler_config(&self, settings: &Settings) -> Result<String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wrangler.toml");
        let text = std::fs::read_to_string(&source).context("reading wrangler.toml")?;
        let mut lines = Vec::new();
        let mut section = String::new();
        for line in text.lines() {
            if line.starts_with('[') {
                section = line.to_owned();
            }
            match section.as_str() {
                "[build]" | "[vars]" => continue,
                section if section.starts_with("[env.") || section.starts_with("[[env.") => continue,
                _ if line.starts_with("directory = ") => {
                    let public = source.with_file_name("edge/public").canonicalize()?;
                    lines.push(format!("directory = {:?}", public.display().to_string()));
                }
                _ if line.starts_with("main = ") => {
                    lines.push(format!("main = {:?}", self.worker.join("index.js").display().to_string()));
                }
                _ => {
                    let limits =
                        [("limit = 60", settings.webhook_limit), ("limit = 300", settings.api_limit)];
                    lines.push(limits.iter().fold(line.to_owned(), |line, (kept, limit)| match limit {
                        Some(limit) => line.replace(kept, &format!("limit = {limit}")),
                        None => line,
                    }));
                }
            }
        }
        lines.push("[vars]".to_owned());
        lines.extend(settings.vars.iter().map(|(name, value)| format!("{name} = {value:?}")));
        Ok(lines.join("\n"))
    }
}

// === impl Server ===

impl Server {
    /// Starts any server that is ready when it listens on `port`.
    pub fn listening(command: Command, port: u16, log: &Path) -> Result<Self> {
        Self::start(command, port, log, Ready::Listens)
    }

    fn start(mut command: Command, port: u16, log: &Path, ready: Ready) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = command.spawn().with_context(|| format!("starting {:?}", command.get_program()))?;
        let watcher = Watcher::of(child.id())?;
        let mut server =
            Self { child, watcher, url: format!("http://127.0.0.1:{port}"), log: log.to_owned() };
        server.wait_until(ready)?;
        Ok(server)
    }

    fn wait_until(&mut self, ready: Ready) -> Result<()> {
        let started = Instant::now();
        loop {
            let is_ready = match ready {
                Ready::Answers(path) => crate::deliver::get(&self.url, path, None).is_ok(),
                Ready::Started => true,
                Ready::Listens => TcpStream::connect(self.url.trim_start_matches("http://")).is_ok(),
            };
            if is_ready {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before it answered:\n{}", self.url, self.log());
            }
            if started.elapsed() > START_LIMIT {
                bail!("{} did not answer in {} s:\n{}", self.url, START_LIMIT.as_secs(), self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as a crash does.
    pub fn kill(mut self) {
        let group = format!("-{}", self.child.id());
        self.watcher.dismiss();
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }

    /// Whether its process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Processor time it has used so far; of the process itself, not of those it started.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.group()))
            .context("reading CPU time from /proc")?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| {
            fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("a field of /proc/stat")
        };
        // proc(5): utime and stime are fields 14 and 15; a tick is 10 ms on Linux.
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
    }

    /// The id of its process group.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.child.id()
    }
}

// === impl Watcher ===

impl Watcher {
    fn of(group: u32) -> Result<Self> {
        // A shell and a pipe work on Linux and macOS; a signal at the parent's death is Linux's alone.
        let script = "read -r _; kill -TERM -$0; sleep 5; kill -KILL -$0";
        let mut command = Command::new("sh");
        command.args(["-c", script, &group.to_string()]).stdin(Stdio::piped());
        // In a group of its own, so that Ctrl-C does not end it before it has done its work.
        command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Ok(Self(command.spawn().context("starting a watcher")?))
    }

    /// There is nothing left to stop.
    fn dismiss(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.watcher.dismiss();
        for signal in ["-TERM", "-KILL"] {
            let group = format!("-{}", self.child.id());
            let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_secs(5) {
                if matches!(self.child.try_wait(), Ok(Some(_))) && signal == "-TERM" {
                    break;
                }
                if signal == "-KILL" {
                    let _ = self.child.wait();
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// A port nobody listens on right now, and that no outgoing connection is given either: those come from 32,768 on, and
/// one of them may take a port between this look and the server's start.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Each process begins elsewhere, so that those that run beside each other do not look at the same ports.
    let first = (std::process::id() % 200) as u16 * 100;
    (0..PORTS)
        .map(|_| FIRST_PORT + (first + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS) % PORTS)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no port is free")
}

/// A fresh folder for one run, under the system's temporary one.
pub fn work_folder(name: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("sentinel-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_left_out_without_xtask_and_fails_where_xtask_forgot_something() {
        let of = |set: &'static [&str]| Programs::of(|name| set.contains(&name).then(|| name.into()));
        assert!(of(&[]).is_ok_and(|programs| programs.is_none()));
        assert!(of(&["SENTINEL_TOOLS"]).is_ok_and(|programs| programs.is_none()));
        for lacking in [&["SENTINEL_BIN"][..], &["SENTINEL_WORKER"], &["SENTINEL_BIN", "SENTINEL_WORKER"]] {
            assert!(of(lacking).is_err(), "{lacking:?}");
        }
        let all = of(&["SENTINEL_BIN", "SENTINEL_TOOLS", "SENTINEL_WORKER"]);
        assert!(all.is_ok_and(|programs| programs.is_some()));
    }
}
