//! Reads logs where people have them: files, archives, compressed files, folders, standard input.

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use sentinel_shared::excerpt::{Excerpt, ExcerptFinder, JobLog, Jobs};
use sentinel_shared::log::archive::{self, FILES_MAX, Log};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// The largest number of bytes that are read from one archive or compressed file, uncompressed. A file of some
/// megabytes can hold more than a disk.
const UNPACKED_MAX_BYTES: u64 = 2 << 30;
/// The largest archive that is read from standard input, which has to be held in memory.
const PIPED_ARCHIVE_MAX_BYTES: u64 = 512 << 20;
/// How deep folders are searched: a folder of jobs with a folder of steps each, in an outer folder.
const DEPTH_MAX: usize = 3;
/// The number of entries of folders that are looked at.
const ENTRIES_MAX: usize = 20_000;

/// What to do where there is no log.
const WHERE_FROM: &str = "give a job's log as text, as .gz or as the .zip that GitHub offers, \
                          or pipe one: gh run view RUN --log-failed | sentinel classify -";

/// The jobs of one argument.
pub(super) struct Input {
    pub(super) jobs: Vec<JobLog>,
    /// The number of jobs that were too many.
    pub(super) left_out: usize,
}

enum Kind {
    Zip,
    Gzip,
    Text,
}

/// Reads the log to its end, however long it is, as that of one job.
pub(crate) fn read_excerpt(log: impl Read) -> Result<Excerpt> {
    let mut finder = ExcerptFinder::new();
    pieces(log, |piece| finder.push(piece))?;
    Ok(finder.finish())
}

/// Reads all jobs of `path`; `-` is standard input.
///
/// # Errors
/// A sentence that says what to do, if there is no log.
pub(super) fn read(path: &Path) -> Result<Input> {
    let name = path.display();
    if path.as_os_str() == "-" {
        return piped().context("standard input");
    }
    if path.is_dir() {
        return folder(path).with_context(|| format!("{name}"));
    }
    let file = File::open(path).with_context(|| format!("opening {name}"))?;
    opened(file).with_context(|| format!("{name}"))
}

fn piped() -> Result<Input> {
    let mut stdin = std::io::stdin().lock();
    let (kind, start) = kind(&mut stdin)?;
    let all = Cursor::new(start).chain(stdin);
    match kind {
        Kind::Zip => {
            let mut bytes = Vec::new();
            all.take(PIPED_ARCHIVE_MAX_BYTES + 1).read_to_end(&mut bytes).context("reading the archive")?;
            let fits = bytes.len() as u64 <= PIPED_ARCHIVE_MAX_BYTES;
            ensure!(fits, "the archive is too large for a pipe: save it to a file");
            zipped(Cursor::new(bytes))
        }
        Kind::Gzip => whole(MultiGzDecoder::new(all).take(UNPACKED_MAX_BYTES)),
        Kind::Text => whole(all),
    }
}

fn opened(mut file: File) -> Result<Input> {
    let (kind, start) = kind(&mut file)?;
    match kind {
        Kind::Zip => zipped(file),
        Kind::Gzip => {
            let all = Cursor::new(start).chain(file);
            whole(MultiGzDecoder::new(all).take(UNPACKED_MAX_BYTES))
        }
        Kind::Text => whole(Cursor::new(start).chain(file)),
    }
}

/// Reads one stream, which may hold several jobs.
fn whole(log: impl Read) -> Result<Input> {
    let mut jobs = Jobs::new();
    pieces(log, |piece| jobs.push(piece))?;
    let left_out = jobs.left_out();
    let jobs = jobs.finish();
    if let Some(problem) = JobLog::problem(&jobs) {
        bail!("{problem}; {WHERE_FROM}");
    }
    Ok(Input { jobs, left_out })
}

fn zipped(archive: impl Read + Seek) -> Result<Input> {
    let mut archive =
        ZipArchive::new(archive).context("this is no complete .zip archive: download it again")?;
    let names = archive.file_names().map(|name| name.map(Cow::into_owned).unwrap_or_default());
    let names: Vec<String> = names.collect();
    several(&archive::logs(&names), |at, limit, sink| {
        let file = archive.by_index(at).context("reading the archive")?;
        pieces(file.take(limit), sink)
    })
}

fn folder(path: &Path) -> Result<Input> {
    let mut files = Vec::new();
    let mut entries = ENTRIES_MAX;
    collect(path, DEPTH_MAX, &mut entries, &mut files)?;
    let inside = |file: &PathBuf| {
        let inside = file.strip_prefix(path).unwrap_or(file);
        inside.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    let names: Vec<String> = files.iter().map(inside).collect();
    several(&archive::logs(&names), |at, limit, sink| {
        let mut file = File::open(&files[at]).with_context(|| format!("opening {}", names[at]))?;
        let (kind, start) = kind(&mut file)?;
        let all = Cursor::new(start).chain(file);
        match kind {
            Kind::Gzip => pieces(MultiGzDecoder::new(all).take(limit), sink),
            Kind::Zip | Kind::Text => pieces(all.take(limit), sink),
        }
    })
}

/// Reads logs that lie in files of their own. `read` reads one of the files up to a limit, and returns how much it was.
fn several(
    logs: &[Log],
    mut read: impl FnMut(usize, u64, &mut dyn FnMut(&[u8])) -> Result<u64>,
) -> Result<Input> {
    ensure!(!logs.is_empty(), "there is no log in it (.txt or .log); {WHERE_FROM}");
    let mut all = Input { jobs: Vec::new(), left_out: 0 };
    let mut left = UNPACKED_MAX_BYTES;
    for log in logs {
        let mut jobs = Jobs::new();
        for part in &log.parts {
            jobs.begin(log.job.as_deref(), part.step.as_deref());
            left -= read(part.at, left, &mut |piece| jobs.push(piece))?;
            ensure!(left > 0, "it holds more than {} GiB of logs", UNPACKED_MAX_BYTES >> 30);
        }
        all.left_out += jobs.left_out();
        all.jobs.extend(jobs.finish().into_iter().filter(JobLog::says_something));
    }
    ensure!(!all.jobs.is_empty(), "its logs are empty; {WHERE_FROM}");
    Ok(all)
}

fn collect(folder: &Path, depth: usize, entries: &mut usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut found: Vec<_> =
        fs::read_dir(folder).context("reading the folder")?.take(*entries).collect::<Result<_, _>>()?;
    *entries -= found.len();
    found.sort_by_key(fs::DirEntry::file_name);
    for entry in found {
        // A link may lead anywhere, and in circles.
        let kind = entry.file_type()?;
        if kind.is_file() {
            files.push(entry.path());
        } else if kind.is_dir() && depth > 1 && files.len() < FILES_MAX {
            collect(&entry.path(), depth - 1, entries, files)?;
        }
    }
    Ok(())
}

/// The kind of a file by its first bytes, which are returned too.
fn kind(file: &mut impl Read) -> Result<(Kind, Vec<u8>)> {
    let mut start = Vec::new();
    file.take(4).read_to_end(&mut start).context("reading it")?;
    let kind = match start.as_slice() {
        b"PK\x03\x04" | b"PK\x05\x06" => Kind::Zip,
        [0x1f, 0x8b, ..] => Kind::Gzip,
        _ => Kind::Text,
    };
    Ok((kind, start))
}

/// Reads everything, and returns how many bytes that was.
fn pieces(mut file: impl Read, mut push: impl FnMut(&[u8])) -> Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut read = 0;
    loop {
        match file.read(&mut buffer).context("reading the log")? {
            0 => return Ok(read),
            n => {
                push(&buffer[..n]);
                read += n as u64;
            }
        }
    }
}
