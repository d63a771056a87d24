//! Attributes that jobs, shadows and slots have with this starter.

/// Where an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the job ad, read by the starter.
    Job,
    /// In the job ad, reported by the starter.
    Report,
    /// In the ad of every slot of the machine.
    Machine,
}

impl Place {
    pub(super) const ALL: [Self; 3] = [Self::Job, Self::Report, Self::Machine];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Job => "What a job says",
            Self::Report => "What is reported of a job",
            Self::Machine => "What a slot advertises",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Job => "Read from the job ad, which condor_submit makes.",
            Self::Report => {
                "In the ad that the starter writes without a pool, and in its updates to the shadow: so in condor_q and condor_history, as far \
                 as the shadow passes it on."
            }
            Self::Machine => {
                "Printed by `starter -classad`, so in condor_status; Requirements of jobs can ask for it."
            }
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) kind: &'static str,
    pub(super) whose: &'static str,
    pub(super) text: &'static str,
}

macro_rules! attributes {
    ($($place:ident $name:literal $kind:literal $whose:ident: $text:literal;)+) => {
        /// All of them, in the order of the manual.
        pub(super) const ATTRIBUTES: &[Attribute] = &[$(Attribute {
            name: $name,
            place: Place::$place,
            kind: $kind,
            whose: stringify!($whose),
            text: $text,
        }),+];
    };
}

attributes! {
    Job "RequestedChroot" "string" Cloister: "The named root that the job wants for its /. HTCondor had it until 25.4.";
    Job "MinIsolation" "string" Cloister: "Words of AssignedIsolation that the job doesn't run without; it is held where one can't be had.";
    Job "WantIsolationReport" "boolean" Cloister: "Have an event in the user's log say what isolation the job got.";
    Job "Cmd" "string" HTCondor: "The program.";
    Job "Arguments" "string" HTCondor: "Its arguments, in V2 syntax; Args has them in V1.";
    Job "Args" "string" HTCondor: "The same in V1 syntax.";
    Job "Environment" "string" HTCondor: "Its variables, in V2 syntax; Env has them in V1.";
    Job "Env" "string" HTCondor: "The same in V1 syntax, separated by the first character of EnvDelim.";
    Job "EnvDelim" "string" HTCondor: "What separates the variables of Env; a semicolon by default.";
    Job "Iwd" "string" HTCondor: "The job's directory at the submit side.";
    Job "RemoteIwd" "string" HTCondor: "Its directory on this machine, if its files aren't moved.";
    Job "JobUniverse" "number" HTCondor: "5 (vanilla) or 12 (local); any other is refused.";
    Job "ClusterId" "number" HTCondor: "The first part of the job's number.";
    Job "ProcId" "number" HTCondor: "The second part.";
    Job "GlobalJobId" "string" HTCondor: "Its number with the schedd's name.";
    Job "Owner" "string" HTCondor: "Its submitter, whose account it runs as where the configuration lets it.";
    Job "OsUser" "string" HTCondor: "The account of the submitter; goes before Owner.";
    Job "UidDomain" "string" HTCondor: "Where account names mean the same: compared with UID_DOMAIN.";
    Job "RunAsOwner" "boolean" HTCondor: "False: run as the slot's account.";
    Job "PrimaryUnixGroup" "string" HTCondor: "The group to run as, one that the account is in.";
    Job "StreamIn" "boolean" HTCondor: "Standard input is read from the submit side while the job runs; StreamOut and StreamErr are its like.";
    Job "DontAppend" "boolean" HTCondor: "False: output is added to what is there.";
    Job "CoreSize" "number" HTCondor: "The largest core file in bytes; negative is unlimited.";
    Job "KillSig" "number or string" HTCondor: "The signal that asks the job to end (SIGTERM).";
    Job "RequestCpus" "number" HTCondor: "CPUs that the job wants.";
    Job "CpusProvisioned" "number" HTCondor: "CPUs that the slot has set aside for it; goes before RequestCpus.";
    Job "SpooledOutputFiles" "string" HTCondor: "Output that came back from an earlier run.";
    Job "JobLeaseDuration" "number" HTCondor: "Seconds that the job goes on without its shadow.";
    Job "FailureFiles" "string" HTCondor: "What comes back of a job that failed.";
    Job "JobSuccessExitCode" "number" HTCondor: "The exit code that counts as success; JobSuccessExitBySignal and JobSuccessExitSignal are its like.";
    Job "AllowedExecuteDuration" "number" HTCondor: "Seconds that the job may run.";
    Job "DeferralTime" "number" HTCondor: "When the job begins, in seconds since 1970.";
    Job "HookKeyword" "string" HTCondor: "Which programs of the admin's are run around the job.";
    Job "WantIOProxy" "boolean" HTCondor: "Let the job reach the submit side with condor_chirp.";
    Job "JobStarterLog" "string" HTCondor: "The starter's log of this job comes back with its output.";

    Report "AssignedIsolation" "string" Cloister: "What isolation the job got, in words: mnt pid ipc uts cgroup net dev home hidden seccomp and so on.";
    Report "AssignedChroot" "string" Cloister: "The named root that it got.";
    Report "AssignedChrootRevision" "string" Cloister: "The revision of that root, where the admin has it read.";
    Report "IsolationNotApplied" "string" Cloister: "What is the default here and could not be had on this machine, with the reason.";
    Report "AssignedTimeToExec" "number" Cloister: "Milliseconds from the start of the starter to that of the job's program.";
    Report "CondorScratchDir" "string" HTCondor: "The job's sandbox.";
    Report "JobState" "string" HTCondor: "Running, Suspended or Exited.";
    Report "JobPid" "number" HTCondor: "The number of the job's main process on the machine.";
    Report "NumPids" "number" HTCondor: "How many processes it has.";
    Report "JobStartDate" "number" HTCondor: "When its program was started, in seconds since 1970.";
    Report "JobDuration" "number" HTCondor: "Seconds that it ran.";
    Report "RemoteWallClockTime" "number" HTCondor: "The same, without a pool.";
    Report "RemoteUserCpu" "number" HTCondor: "CPU time in seconds, of all its processes.";
    Report "RemoteSysCpu" "number" HTCondor: "CPU time in the kernel in seconds.";
    Report "CpusUsage" "number" HTCondor: "CPUs in use on average.";
    Report "ImageSize" "number" HTCondor: "Memory in KiB, its peak.";
    Report "ResidentSetSize" "number" HTCondor: "Memory in KiB, its peak.";
    Report "MemoryUsage" "number" HTCondor: "Memory in MiB, as MEMORY_USAGE_METRIC has it.";
    Report "DiskUsage" "number" HTCondor: "What the sandbox takes in KiB.";
    Report "ScratchDirFileCount" "number" HTCondor: "How many files are in it.";
    Report "BlockReadKbytes" "number" HTCondor: "What was read from disks in KiB.";
    Report "BlockWriteKbytes" "number" HTCondor: "What was written to disks in KiB.";
    Report "ExitBySignal" "boolean" HTCondor: "Whether a signal killed the job.";
    Report "ExitCode" "number" HTCondor: "Its exit code, if not.";
    Report "ExitSignal" "number" HTCondor: "The signal, if so.";
    Report "ExitReason" "string" HTCondor: "The signal's name in words.";
    Report "JobCoreDumped" "boolean" HTCondor: "There is a core file.";
    Report "HoldReason" "string" HTCondor: "Why the job is held: the troubleshooting table of the admin guide has these sentences.";
    Report "HoldReasonCode" "number" HTCondor: "HTCondor's number for it.";
    Report "HoldReasonSubCode" "number" HTCondor: "A number of the system's, where there is one.";
    Report "VacateReason" "string" HTCondor: "Why the job left this machine and will be tried on another.";
    Report "FailedStep" "string" Cloister: "The step that failed, without a pool.";

    Machine "HasCloister" "boolean" Cloister: "Jobs of this slot run under Cloister.";
    Machine "CloisterVersion" "string" Cloister: "Which one.";
    Machine "CloisterIsolation" "string" Cloister: "What isolation every job gets here, in the words of AssignedIsolation, with commas.";
    Machine "CloisterOfflineReason" "string" Cloister: "Why no job can run here; no other attribute is there then.";
    Machine "NamedChroots" "string" Cloister: "The named roots that jobs can use here.";
    Machine "edChroot" "string" HTCondor: "The same, under the name that condor_submit asks for.";
    Machine "NamedChroot" "string" HTCondor: "The same with a word root in front.";
    Machine "OfflineNamedChroots" "string" Cloister: "Named roots that are configured and can't be used.";
    Machine "<name>_ChrootOfflineReason" "string" Cloister: "Why one of them can't.";
    Machine "<name>_ChrootRevision" "string" Cloister: "The revision of a root; _ChrootSystem is the system in it, _ChrootWriting what becomes of what a job writes there, _ChrootAllow who may have it.";
    Machine "HasFileTransfer" "boolean" HTCondor: "Files are moved. The other Has attributes are in compatibility.md.";
}
