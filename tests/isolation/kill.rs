//! `kill -9` of any process of a starter, at any moment: no process of the job is left, no mount, and
//! the sandbox is gone, or goes with the next start.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and says where"
)]

use std::os::unix::process::CommandExt;
use std::time::Duration;

use cloister_tests::{ALICE, Job, Machine, Process, Running, wait_until};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The processes of a starter, from the outermost to the innermost.
#[derive(Clone, Copy, Debug)]
enum Role {
    Supervisor,
    Launcher,
    Init,
    Job,
}

const ROLES: [Role; 4] = [Role::Supervisor, Role::Launcher, Role::Init, Role::Job];

/// The number of the process in a role, if there is one now.
fn find(role: Role, supervisor: i32, all: &[Process]) -> Option<i32> {
    let child = |parent: i32| all.iter().find(|process| process.parent == parent).map(|p| p.pid);
    match role {
        Role::Supervisor => Some(supervisor),
        Role::Launcher => child(supervisor),
        Role::Init => child(child(supervisor)?),
        Role::Job => child(child(child(supervisor)?)?),
    }
}

/// A job that would never end, with processes that are in no session and of no parent of it.
fn endless() -> Job {
    let program = cloister_tests::hostile();
    Job::sh(&format!("sleep 1000 & {} daemon; echo ready; sleep 1000", program.display()))
}

/// Waits until nothing is left but perhaps the sandbox, and has that removed by another start.
fn all_goes(machine: &Machine, running: Running, what: &str) {
    let ran = running.wait();
    wait_until(&format!("the end of all processes after {what}\n{ran}"), || {
        machine.processes().is_empty()
    });
    // The run checks that EXECUTE is empty after it.
    machine.run(&Job::program("/bin/true")).ok();
}

/// Numbers that differ from run to run; the seed is shown so that a failure can be told from luck.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        let seed = u64::from_str_radix(&text[..8], 16).unwrap();
        println!("seed {seed}");
        Self(seed)
    }

    /// A number below a limit.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap()
}

/// Kills once at a random moment of the first 30 ms; a process that isn't there yet as soon as it is.
fn round(machine: &Machine, random: &mut Random, role: Role, start: &dyn Fn() -> Running) {
    let before = mounts();
    let running = start();
    let delay = random.below(30_000);
    std::thread::sleep(Duration::from_micros(delay));
    let mut target = None;
    wait_until("the process to kill", || {
        target = find(role, running.pid(), &machine.processes());
        target.is_some()
    });
    let _ = kill(Pid::from_raw(target.unwrap()), Signal::SIGKILL);
    // Where that alone doesn't end the starter, as with a job that was only just forked.
    if matches!(role, Role::Job | Role::Init) {
        running.signal(Signal::SIGTERM);
    }
    all_goes(machine, running, &format!("kill -9 of {role:?} {delay} us after the start"));
    assert_eq!(mounts(), before, "{role:?} after {delay} us");
}

fn rounds(number: usize, knobs: &[(&str, &str)]) {
    let Some(mut machine) = Machine::new() else { return };
    for (knob, value) in knobs {
        machine.set_knob(knob, value);
    }
    let mut random = Random::new();
    let job = endless();
    for turn in 0..number {
        round(&machine, &mut random, ROLES[turn % ROLES.len()], &|| machine.start(&job));
    }
}

#[test]
fn at_any_moment_of_the_start() {
    rounds(60, &[]);
}

#[test]
fn at_any_moment_of_the_start_where_the_job_is_process_1() {
    rounds(24, &[("USE_PID_NAMESPACE_INIT", "False")]);
}

#[test]
fn at_any_moment_of_the_start_without_root() {
    let Some(machine) = Machine::new() else { return };
    machine.owned_by(ALICE);
    let mut random = Random::new();
    let job = endless();
    for turn in 0..16 {
        let start = || machine.start_with(machine.starter_as(ALICE), &job);
        round_as(&machine, &mut random, ROLES[turn % ROLES.len()], &start);
    }
}

/// As `round`, for starters whose next start is one of the same account.
fn round_as(machine: &Machine, random: &mut Random, role: Role, start: &dyn Fn() -> Running) {
    let running = start();
    std::thread::sleep(Duration::from_micros(random.below(30_000)));
    let mut target = None;
    wait_until("the process to kill", || {
        target = find(role, running.pid(), &machine.processes());
        target.is_some()
    });
    let _ = kill(Pid::from_raw(target.unwrap()), Signal::SIGKILL);
    running.signal(Signal::SIGTERM);
    let ran = running.wait();
    wait_until(&format!("the end of all processes\n{ran}"), || machine.processes().is_empty());
    machine.run_with(machine.starter_as(ALICE), &Job::program("/bin/true")).ok();
}

/// Quick jobs, killed from outside in the middle of their end.
#[test]
fn at_any_moment_of_the_end() {
    let Some(machine) = Machine::new() else { return };
    let mut random = Random::new();
    for _ in 0..40 {
        let running = machine.start(&Job::program("/bin/true"));
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        let _ = kill(Pid::from_raw(running.pid()), Signal::SIGKILL);
        all_goes(&machine, running, "kill -9 of the supervisor of a quick job");
    }
}

/// The job runs, with all its processes, when it happens.
fn steady(role: Role, knobs: &[(&str, &str)]) {
    let Some(mut machine) = Machine::new() else { return };
    for (knob, value) in knobs {
        machine.set_knob(knob, value);
    }
    let mut running = machine.start(&endless());
    running.line("ready");
    let target = find(role, running.pid(), &machine.processes()).unwrap();
    kill(Pid::from_raw(target), Signal::SIGKILL).unwrap();
    let ran = running.wait();
    wait_until(&format!("the end of all processes after kill -9 of {role:?}\n{ran}"), || {
        machine.processes().is_empty()
    });
    match role {
        Role::Supervisor => assert_eq!(ran.signal, Some(9), "{ran}"),
        Role::Launcher => {
            assert_eq!(ran.code, Some(1), "{ran}");
            assert!(ran.said.contains("launcher is gone"), "{ran}");
        }
        // That the job died of it isn't its own end.
        Role::Init => {
            assert_eq!(ran.code, Some(1), "{ran}");
            assert!(ran.said.contains("init was killed"), "{ran}");
            assert!(machine.sandboxes().is_empty(), "{ran}");
        }
        Role::Job => {
            ran.killed(Signal::SIGKILL);
            assert!(machine.sandboxes().is_empty(), "{ran}");
        }
    }
    machine.run(&Job::program("/bin/true")).ok();
}

#[test]
fn of_a_running_jobs_processes() {
    for role in ROLES {
        steady(role, &[]);
    }
}

#[test]
fn of_a_running_jobs_processes_where_it_is_process_1() {
    for role in ROLES {
        steady(role, &[("USE_PID_NAMESPACE_INIT", "False")]);
    }
}

#[test]
fn of_a_running_jobs_processes_where_process_numbers_are_shared() {
    for role in ROLES {
        steady(role, &[("USE_PID_NAMESPACES", "False")]);
    }
}

#[test]
fn at_any_moment_of_the_start_where_process_numbers_are_shared() {
    rounds(40, &[("USE_PID_NAMESPACES", "False")]);
}

/// The moment that no luck would find: a process is held before its first instruction, its parent is
/// killed, and then it goes on.
fn before_the_first_instruction(knobs: &[(&str, &str)], held: Role) {
    let Some(mut machine) = Machine::new() else { return };
    for (knob, value) in knobs {
        machine.set_knob(knob, value);
    }
    let mut starter = machine.starter();
    // SAFETY: between fork and exec only this one call is made, which allocates nothing.
    unsafe { starter.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    let running = machine.start_with(starter, &endless());
    let supervisor = Pid::from_raw(running.pid());
    // It stops at its exec; from there on everything that it forks stops at once, too.
    assert!(matches!(waitpid(supervisor, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGTRAP)));
    let every_fork = ptrace::Options::PTRACE_O_TRACEFORK
        | ptrace::Options::PTRACE_O_TRACEVFORK
        | ptrace::Options::PTRACE_O_TRACECLONE;
    ptrace::setoptions(supervisor, every_fork).unwrap();
    let depth = ROLES.iter().position(|role| *role as u8 == held as u8).unwrap();
    let mut family = vec![supervisor];
    ptrace::cont(supervisor, None).unwrap();
    while family.len() <= depth {
        let parent = *family.last().unwrap();
        let child = next_child(parent);
        family.push(child);
        if family.len() <= depth {
            ptrace::cont(parent, None).unwrap();
            ptrace::cont(child, None).unwrap();
        }
    }
    let parent = family[depth - 1];
    kill(parent, Signal::SIGKILL).unwrap();
    // Nobody else is told of the death of a process before the one that traces it has been. The
    // kernel may take the child along at once.
    let mut dead = Vec::new();
    wait_until("the parent's death", || {
        // The supervisor is this process's child besides, and waited for as such.
        dead.extend(family[1..].iter().copied().filter(|process| has_died(*process)));
        dead.contains(&parent) || (parent == supervisor && is_gone(supervisor))
    });
    for process in family.iter().filter(|process| **process != parent && !dead.contains(process)) {
        detach(*process);
    }
    all_goes(&machine, running, &format!("kill -9 of the parent of {held:?} before it began"));
}

/// The next process that a traced one forks, stopped before its first instruction. Other programs
/// that it starts are let go.
fn next_child(parent: Pid) -> Pid {
    loop {
        match waitpid(parent, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::PtraceEvent(_, _, event) => {
                let child =
                    Pid::from_raw(i32::try_from(ptrace::getevent(parent).unwrap()).unwrap());
                let stopped = waitpid(child, Some(WaitPidFlag::__WALL)).unwrap();
                assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
                if event == ptrace::Event::PTRACE_EVENT_FORK as i32 {
                    return child;
                }
                ptrace::detach(child, None).unwrap();
                ptrace::cont(parent, None).unwrap();
            }
            WaitStatus::Stopped(_, signal) => ptrace::cont(parent, signal).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn is_gone(process: Pid) -> bool {
    !cloister_tests::processes().iter().any(|known| known.pid == process.as_raw())
}

fn has_died(process: Pid) -> bool {
    let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
    matches!(waitpid(process, Some(flags)), Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)))
}

/// Ends the tracing of a process, which is stopped for that unless it is dead.
fn detach(process: Pid) {
    if ptrace::detach(process, None).is_ok() {
        return;
    }
    let _ = kill(process, Signal::SIGSTOP);
    wait_until("a traced process to stop", || {
        match waitpid(process, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => false,
            Ok(WaitStatus::Stopped(_, signal)) => {
                let signal = (signal != Signal::SIGSTOP).then_some(signal);
                ptrace::detach(process, signal).is_ok()
            }
            Ok(WaitStatus::PtraceEvent(..)) => ptrace::detach(process, None).is_ok(),
            _ => true,
        }
    });
    let _ = kill(process, Signal::SIGCONT);
}

#[test]
fn of_the_supervisor_before_the_launchers_first_instruction() {
    before_the_first_instruction(&[], Role::Launcher);
}

#[test]
fn of_the_launcher_before_inits_first_instruction() {
    before_the_first_instruction(&[], Role::Init);
}

#[test]
fn of_init_before_the_jobs_first_instruction() {
    before_the_first_instruction(&[], Role::Job);
}

#[test]
fn of_init_before_the_jobs_first_instruction_where_process_numbers_are_shared() {
    before_the_first_instruction(&[("USE_PID_NAMESPACES", "False")], Role::Job);
}

/// A copy that would take hours doesn't keep the starter from ending when it is told to.
#[test]
fn a_copy_under_way_ends_at_once() {
    let Some(machine) = Machine::new() else { return };
    let big = machine.path("big");
    let file = std::fs::File::create(&big).unwrap();
    file.set_len(1 << 42).unwrap();
    machine.give(&big, ALICE);
    for signal in [Signal::SIGTERM, Signal::SIGQUIT] {
        let job = Job::program("/bin/true")
            .set("TransferExecutable", false)
            .set("ShouldTransferFiles", "YES")
            .set("TransferInput", big.to_str().unwrap());
        let running = machine.start(&job);
        wait_until("the copy", || {
            let sandboxes = machine.sandboxes();
            sandboxes.iter().any(|slot| slot.join("scratch/big").exists())
        });
        running.signal(signal);
        let ran = running.wait();
        assert_eq!(ran.signal, None, "{ran}");
        ran.never_ran();
        machine.check_clean(&ran);
    }
}
