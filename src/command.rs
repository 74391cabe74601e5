//! Runs a shell command that a setting names: bounded in time and output, with all that it started.

mod mask;

pub use mask::without_secrets;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use thiserror::Error;
use zeroize::Zeroizing;

const STDERR_SHOWN: usize = 400;
/// The longest time between two looks at the clock, at the child and at what asks to stop.
const TURN: Duration = Duration::from_millis(20);

/// What is to be run.
pub struct ShellCommand<'a> {
    /// For `sh -c`.
    pub line: &'a str,
    /// Standard input; without it the command has none (`/dev/null`).
    pub input: Option<&'a [u8]>,
    /// After this time the whole process group gets SIGKILL, which nothing can ignore.
    pub time_limit: Duration,
    /// More standard output than this is an error.
    pub max_output: usize,
}

/// Why a command did not do its work; each continues a sentence that begins with its name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    #[error("could not be started: {reason}")]
    NotStarted { reason: String },
    #[error("did not end within {seconds} s and was killed")]
    TimedOut { seconds: u64 },
    /// `stderr` is empty, or a colon and what the command complained about, without possible secrets.
    #[error("ended with {status}{stderr}")]
    Failed { status: String, stderr: String },
    #[error("printed more than {0} bytes")]
    TooMuchOutput(usize),
    /// `stop` said so.
    #[error("was killed before it ended")]
    Stopped,
}

impl ShellCommand<'_> {
    /// Its standard output. It runs in a process group of its own, with no signal blocked, whatever
    /// the server has blocked; when this returns, nothing of the group is left. A command may leave its
    /// input unread.
    ///
    /// `stop` is asked every 20 ms; true ends the run. It must not raise an error.
    pub fn run(&self, stop: &dyn Fn() -> bool) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let mut running = Running::start(self)?;
        running.attend(self, stop)?;
        let status = running.end().map_err(not_started)?;
        if running.printed.len() > self.max_output {
            return Err(CommandError::TooMuchOutput(self.max_output));
        }
        if !status.success() {
            let stderr = without_secrets(&running.complained, &running.printed);
            return Err(CommandError::Failed { status: describe(status), stderr });
        }
        Ok(std::mem::take(&mut running.printed))
    }
}

fn not_started(error: io::Error) -> CommandError {
    CommandError::NotStarted { reason: error.to_string() }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// A started command, its pipes, and what came out of them. Dropped, it is killed.
struct Running<'a> {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    unwritten: &'a [u8],
    printed: Zeroizing<Vec<u8>>,
    complained: Zeroizing<Vec<u8>>,
    /// Whether [`Running::end`] took the child's status.
    taken: bool,
}

impl<'a> Running<'a> {
    fn start(what: &ShellCommand<'a>) -> Result<Self, CommandError> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", what.line])
            .stdin(if what.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(not_started)?;
        let running = Running {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            unwritten: what.input.unwrap_or_default(),
            // Reserved whole, so that no reallocation leaves a copy of a secret behind.
            printed: Zeroizing::new(Vec::with_capacity(2 * what.max_output)),
            complained: Zeroizing::new(Vec::with_capacity(STDERR_SHOWN)),
            taken: false,
        };
        if let Some(stdin) = &running.stdin {
            fcntl(stdin, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|error| not_started(error.into()))?;
        }
        Ok(running)
    }

    /// Serves the pipes until the child has ended, has printed too much, or may not go on.
    fn attend(&mut self, what: &ShellCommand<'_>, stop: &dyn Fn() -> bool) -> Result<(), CommandError> {
        let deadline = Instant::now() + what.time_limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CommandError::TimedOut { seconds: what.time_limit.as_secs() });
            }
            if stop() {
                return Err(CommandError::Stopped);
            }
            let ended = self.has_ended().map_err(not_started)?;
            if !ended {
                self.wait_for_pipes(left.min(TURN));
                self.write_input();
            }
            read_available(&mut self.stdout, &mut self.printed, what.max_output + 1);
            read_available(&mut self.stderr, &mut self.complained, STDERR_SHOWN);
            if ended || self.printed.len() > what.max_output {
                return Ok(());
            }
        }
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Leaves the child in the process table, so that its number can be nobody else's yet.
    fn has_ended(&self) -> io::Result<bool> {
        let how = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.group()), how) {
            Ok(WaitStatus::StillAlive) | Err(nix::Error::EINTR) => Ok(false),
            Ok(_) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn wait_for_pipes(&self, limit: Duration) {
        let reading = [self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd)];
        let writing = self.stdin.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLOUT));
        let mut waited: Vec<PollFd<'_>> =
            reading.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).chain(writing).collect();
        if waited.is_empty() {
            std::thread::sleep(limit);
            return;
        }
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        let _ = poll(&mut waited, limit);
    }

    /// Writes what the pipe takes without waiting; closes it when all is written or nobody reads.
    /// (The server ignores SIGPIPE, so that a closed pipe is an error of `write`.)
    fn write_input(&mut self) {
        let Some(open) = &mut self.stdin else { return };
        while !self.unwritten.is_empty() {
            match open.write(self.unwritten) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(count) => self.unwritten = &self.unwritten[count..],
            }
        }
        self.stdin = None;
    }

    /// Kills what is left of the group (the child may have left processes behind that hold the pipes
    /// or a secret) and takes the child's status.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let _ = killpg(self.group(), Signal::SIGKILL);
        self.taken = true;
        self.child.wait()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Once the status is taken, the number may be somebody else's.
        if !self.taken {
            let _ = self.end();
        }
    }
}

/// Takes what is there without waiting; keeps at most `keep` bytes; closes the pipe at its end.
fn read_available<P: Read + AsFd>(pipe: &mut Option<P>, into: &mut Vec<u8>, keep: usize) {
    let mut block = Zeroizing::new([0; 4096]);
    while let Some(open) = pipe {
        let mut ready = [PollFd::new(open.as_fd(), PollFlags::POLLIN)];
        if !poll(&mut ready, PollTimeout::ZERO).is_ok_and(|count| count > 0) {
            return;
        }
        match open.read(block.as_mut_slice()) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Ok(0) | Err(_) => *pipe = None,
            Ok(count) => {
                let room = keep.saturating_sub(into.len());
                let _ = into.write(&block[..count.min(room)]);
                if into.len() >= keep {
                    return;
                }
            }
        }
    }
}
