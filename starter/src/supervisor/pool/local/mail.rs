//! Mail to the user of a job of the local universe at its end (`notification`), in the words of HTCondor
//! 23.9.6 and 25.14.1.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use classad::ClassAd;

use crate::knobs::Knobs;
use crate::log;
use crate::supervisor::pool::reason;

/// `JobNotification`.
const ALWAYS: i64 = 1;
const COMPLETE: i64 = 2;
const ERROR: i64 = 3;
/// Holds that the user has asked for: no errors.
const ASKED_FOR: [i64; 3] = [1, 3, 15];

/// How long a mailer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A letter, and who gets it.
#[derive(Debug, PartialEq, Eq)]
struct Letter {
    to: Vec<String>,
    subject: String,
    text: String,
}

/// Sends mail if the job wants it at an end with this exit code. `ad` is the job's, with how it ended. A
/// failure is only logged: the job has ended.
pub(super) fn send(knobs: &Knobs, ad: &ClassAd, code: u8) {
    if !is_wanted(ad, code) {
        return;
    }
    let letter = Letter::new(knobs, ad, code);
    if letter.to.is_empty() {
        tracing::warn!("mail for the job's user: there is no address to send it to");
    } else if let Err(error) = letter.post(knobs) {
        tracing::warn!("mail for {}: {error}", letter.to.join(", "));
    }
}

fn is_wanted(ad: &ClassAd, code: u8) -> bool {
    let number = |name: &str| ad.eval_i64(name);
    match number("JobNotification").unwrap_or(0) {
        ALWAYS => true,
        COMPLETE => code == reason::EXITED,
        ERROR if code == reason::EXITED => {
            ad.eval_bool("ExitBySignal") == Some(true)
                || number("ExitCode").unwrap_or(0) != number("JobSuccessExitCode").unwrap_or(0)
        }
        ERROR if code == reason::SHOULD_HOLD => {
            number("HoldReasonCode").is_none_or(|code| !ASKED_FOR.contains(&code))
        }
        _ => false,
    }
}

impl Letter {
    fn new(knobs: &Knobs, ad: &ClassAd, code: u8) -> Self {
        let text = |name: &str| ad.eval_string(name).filter(|text| !text.is_empty());
        let number = |name: &str| ad.eval_i64(name).unwrap_or(0);
        let id = format!("{}.{}", number("ClusterId"), number("ProcId"));
        let (action, why) = match code {
            reason::SHOULD_REMOVE => ("removed", text("RemoveReason")),
            reason::SHOULD_HOLD => ("put on hold", text("HoldReason")),
            _ => ("", None),
        };
        let mut body = format!(
            "This is an automated email from the Condor system\non machine \"{}\".  Do not reply.\n\n\
             Condor job {id}\n",
            rustix::system::uname().nodename().to_string_lossy()
        );
        if let Some(cmd) = text("Cmd") {
            let arguments = text("Arguments").or_else(|| text("Args")).unwrap_or_default();
            body.push_str(format!("\t{cmd} {arguments}").trim_end_matches(' '));
            body.push('\n');
        }
        if let Some(batch) = text("JobBatchName") {
            body.push_str(&format!("\tfrom batch {batch}\n"));
        }
        if let Some(iwd) = text("Iwd") {
            body.push_str(&format!("\tsubmitted from directory {iwd}\n"));
        }
        if action.is_empty() {
            body.push_str(&exit(ad, code));
        } else {
            body.push_str(&format!("\nis being {action}.\n\n{}", why.unwrap_or_default()));
        }
        body.push('\n');
        Self {
            to: addresses(knobs, ad),
            subject: plain(format!("[Condor] Condor Job {id} {action}").trim_end()),
            text: body,
        }
    }

    /// Hands it to `SENDMAIL`, or where there is none to `MAIL`.
    fn post(&self, knobs: &Knobs) -> io::Result<()> {
        let from = knobs.mail_from.as_deref().filter(|from| !from.is_empty());
        let (mut command, head) = if let Some(program) = found(&knobs.sendmail) {
            let mut command = Command::new(program);
            command.args(["-t", "-i"]);
            let from = from.map(|from| format!("From: {}\n", plain(from))).unwrap_or_default();
            (command, format!("{from}Subject: {}\nTo: {}\n\n", self.subject, self.to.join(", ")))
        } else {
            let mut command = Command::new(&knobs.mail);
            command.args(["-s", &self.subject]);
            if let Some(from) = from {
                command.args(["-r", from]);
            }
            command.args(&self.to);
            (command, String::new())
        };
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut mailer = command.spawn()?;
        // Short enough for a pipe.
        mailer.stdin.take().map_or(Ok(()), |mut input| {
            input.write_all(head.as_bytes())?;
            input.write_all(self.text.as_bytes())
        })?;
        // The schedd ends what a starter leaves behind.
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match mailer.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(io::Error::other(format!("the mailer ended with {status}")));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        let _ = mailer.kill();
        Err(io::Error::other(format!("the mailer took more than {} s", PATIENCE.as_secs())))
    }
}

/// How the job ended, when, and what it took.
fn exit(ad: &ClassAd, code: u8) -> String {
    let number = |name: &str| ad.eval_f64(name).unwrap_or(0.0);
    let how = if code == reason::SHOULD_REQUEUE {
        "was evicted by condor, without a checkpoint".to_owned()
    } else if ad.eval_bool("ExitBySignal") == Some(true) {
        let signal = || format!("died on signal {}", number("ExitSignal"));
        ad.eval_string("ExitReason").filter(|why| !why.is_empty()).unwrap_or_else(signal)
    } else {
        format!("exited normally with status {}", number("ExitCode"))
    };
    let core = match ad.eval_bool("JobCoreDumped") {
        Some(true) => "Core file generated\n",
        _ => "",
    };
    let submitted = ad.eval_i64("QDate").unwrap_or(0);
    let form = "%a %b %e %H:%M:%S %Y";
    let mut text =
        format!("{how}\n{core}\n\nSubmitted at:        {}\n", log::local_time_of(form, submitted));
    if code == reason::EXITED {
        let now = jiff::Timestamp::now().as_second();
        text.push_str(&format!(
            "Completed at:        {}\nReal Time:           {}\n",
            log::local_time_of(form, now),
            clock(Duration::from_secs(u64::try_from(now - submitted).unwrap_or(0))),
        ));
    }
    let (user, system) = (number("RemoteUserCpu"), number("RemoteSysCpu"));
    text.push_str(&format!(
        "\nVirtual Image Size:  {} Kilobytes\n\nStatistics from last run:\n\
         Remote User CPU Time:    {}\nRemote System CPU Time:  {}\nTotal Remote CPU Time:   {}\n",
        number("ImageSize"),
        clock(seconds(user)),
        clock(seconds(system)),
        clock(seconds(user + system)),
    ));
    if let Some(names) = ad.eval_string("EmailAttributes") {
        let names = names.split([',', ' ']).filter(|name| !name.is_empty());
        let lines = names.filter_map(|name| Some(format!("{name} = {}\n", ad.get(name)?)));
        text.push_str("\n\n");
        text.extend(lines);
    }
    text
}

fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or_default()
}

/// Days, hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let all = time.as_secs();
    let (days, rest) = (all / 86_400, all % 86_400);
    format!("{days:3} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// `NotifyUser`, or the owner. What could be taken for an option of the mailer is none.
fn addresses(knobs: &Knobs, ad: &ClassAd) -> Vec<String> {
    let text = |name: &str| ad.eval_string(name).filter(|text| !text.is_empty());
    let whole = text("NotifyUser").or_else(|| text("Owner")).unwrap_or_default();
    let domain = Some(knobs.email_domain.clone().unwrap_or_default())
        .filter(|domain| !domain.is_empty())
        .or_else(|| text("UidDomain"))
        .unwrap_or_else(|| knobs.uid_domain.clone());
    let each = whole.split([',', ' ']).map(plain).filter(|one| {
        let is_option = one.starts_with('-');
        !one.is_empty() && !is_option
    });
    each.map(|one| if one.contains('@') { one } else { format!("{one}@{domain}") }).collect()
}

/// One line of a letter's head.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A program by its path, or its name as the daemons find programs.
fn found(program: &Path) -> Option<PathBuf> {
    const PLACES: [&str; 3] = ["/usr/sbin", "/usr/bin", "/bin"];
    let places = PLACES.iter().map(|place| Path::new(place).join(program));
    if program.as_os_str().is_empty() {
        None
    } else {
        places.into_iter().find(|path| path.exists())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ad(text: &str) -> ClassAd {
        let job = "ClusterId = 7\nProcId = 1\nOwner = \"alice\"\nCmd = \"/bin/x\"\nArgs = \"a b\"\n\
                   Iwd = \"/home\"\nExitCode = 3\nExitBySignal = false\nQDate = 100\n";
        ClassAd::parse_old(&format!("{job}{text}")).unwrap()
    }

    #[test]
    fn who_wants_mail_when() {
        let wanted = |text: &str, code| is_wanted(&ad(text), code);
        assert!(!wanted("", reason::EXITED));
        assert!(!wanted("JobNotification = 0\n", reason::EXITED));
        assert!(wanted("JobNotification = 1\n", reason::SHOULD_REQUEUE));
        assert!(wanted("JobNotification = 2\n", reason::EXITED));
        assert!(!wanted("JobNotification = 2\n", reason::SHOULD_HOLD));
        assert!(wanted("JobNotification = 3\n", reason::EXITED));
        assert!(!wanted("JobNotification = 3\nJobSuccessExitCode = 3\n", reason::EXITED));
        assert!(wanted("JobNotification = 3\nHoldReasonCode = 6\n", reason::SHOULD_HOLD));
        assert!(!wanted("JobNotification = 3\nHoldReasonCode = 1\n", reason::SHOULD_HOLD));
    }

    #[test]
    fn letters() {
        let mut knobs = Knobs::from_text("UID_DOMAIN = pool.test\n");
        let letter = Letter::new(&knobs, &ad("NotifyUser = \"b@c, -Svar, d\"\n"), reason::EXITED);
        assert_eq!(letter.to, ["b@c", "d@pool.test"]);
        assert_eq!(letter.subject, "[Condor] Condor Job 7.1");
        assert!(letter.text.contains("\n\t/bin/x a b\n\tsubmitted from directory /home\n"));
        assert!(letter.text.contains("exited normally with status 3\n"), "{}", letter.text);
        let held = ad("HoldReason = \"why\"\n");
        let letter = Letter::new(&knobs, &held, reason::SHOULD_HOLD);
        assert_eq!(letter.subject, "[Condor] Condor Job 7.1 put on hold");
        assert!(letter.text.ends_with("\nis being put on hold.\n\nwhy\n"), "{}", letter.text);
        knobs.email_domain = Some("mail.test".into());
        let mut odd = ad("");
        odd.insert_value("NotifyUser", "a\nb");
        assert_eq!(addresses(&knobs, &odd), ["a b@mail.test"]);
    }
}
