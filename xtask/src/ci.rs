//! `cargo xtask ci`: runs everything that main must pass.

use crate::build::{self, Programs};
use crate::fuzz::Fuzz;
use crate::tools::{Tools, chromium, promtool};
use crate::{cargo, circles, root, run, step, target, test, training};
use anyhow::Result;
use std::process::Command;
use std::time::Instant;

type Chore = fn() -> Result<()>;

pub(crate) fn run_checks() -> Result<()> {
    let chores: [(&str, Chore); 11] = [
        ("tools", tools),
        ("format", || run(cargo()?.args(["fmt", "--check"]))),
        ("build", || Programs::for_development().map(drop)),
        ("lints", lints),
        ("dependencies", dependencies),
        ("bundle", || build::bundle().map(drop)),
        ("deploy", deploy),
        ("dev", dev),
        ("tests", || test(&[])),
        ("training", || training::check(&Programs::for_development()?.sentinel)),
        ("fuzz", fuzz),
    ];
    let mut times = Vec::new();
    for (name, chore) in chores {
        let started = Instant::now();
        chore()?;
        times.push((name, started.elapsed().as_secs()));
    }
    for (name, seconds) in times {
        println!("{name:<10} {seconds:>5} s");
    }
    Ok(())
}

fn tools() -> Result<()> {
    Tools::ensure()?;
    let missing: Vec<&str> = [("chromium", chromium()), ("prometheus", promtool())]
        .into_iter()
        .filter_map(|(package, found)| found.is_none().then_some(package))
        .collect();
    if !missing.is_empty() {
        step("installing Chromium and promtool for the tests");
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        run(Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends"]).args(missing))?;
    }
    Ok(())
}

fn lints() -> Result<()> {
    step("circles between files");
    circles::check(&root())?;
    step("clippy, native");
    run(cargo()?.args(["clippy", "--all-targets", "--", "-D", "warnings"]))?;
    step("clippy, wasm");
    let wasm = ["clippy", "--profile", "wasm", "--target", "wasm32-unknown-unknown"];
    run(cargo()?.args(wasm).args(["-p", "sentinel-edge", "-p", "sentinel-wasm", "--", "-D", "warnings"]))
}

/// Checks dependencies, licences and advisories. Crates are checked if cargo-deny is installed. No npm package is
/// shipped.
fn dependencies() -> Result<()> {
    run(Command::new("npm").current_dir(root().join("tools")).args(["audit", "--omit=dev"]))?;
    let installed =
        Command::new("cargo-deny").arg("--version").output().is_ok_and(|output| output.status.success());
    if !installed {
        step("cargo-deny is not installed: dependencies go unchecked (`cargo install cargo-deny`)");
        return Ok(());
    }
    run(Command::new("cargo-deny").current_dir(root()).arg("check"))
}

/// Checks what `wrangler deploy` would send, with every binding, without sending it. It uses the bundle that was built
/// before.
fn deploy() -> Result<()> {
    let wrangler = Tools::ensure()?.node_bin("wrangler");
    let out = target()?.join("deploy");
    for environment in ["", "staging", "production"] {
        step(&format!("wrangler deploy --dry-run --env \"{environment}\""));
        let mut command = Command::new(&wrangler);
        command.current_dir(root()).env("WRANGLER_SEND_METRICS", "false").env("CI", "1");
        run(command.args(["deploy", "--dry-run", "--env", environment, "--outdir"]).arg(&out))?;
    }
    Ok(())
}

/// Fuzzes each target for half a minute, which finds what a change breaks at once. Longer runs find what is rare:
/// `cargo xtask fuzz --seconds 600`.
fn fuzz() -> Result<()> {
    Fuzz::short().run()
}

fn dev() -> Result<()> {
    let programs = Programs::for_development()?;
    run(programs.command(&programs.demo).args(["--once", "--review"]))
}
