//! Both sides say that they are ready before the first file, and wait for each other until then.
//!
//! A shadow may wait hours for a slot in the transfer queue of its schedd. Meanwhile it says again
//! and again that it is still there, and only the silence between two such messages is limited.

use std::time::Duration;

use classad::ClassAd;

use super::channel::Channel;
use crate::failure::{Disposition, Failure};
use crate::transfer::fault::Direction;

/// Seconds: the alive interval that is announced at least, and the least that is accepted.
const ALIVE: u32 = 300;
/// Seconds that an ad may be late.
const SLACK: u64 = 20;

/// `Result` in an ad: for this and all later files.
const ALWAYS: i64 = 2;
/// `HoldReasonCode` for an ad that says nothing.
const INVALID: i32 = 18;

/// What has been agreed on.
#[derive(Debug, Default)]
pub(super) struct GoAhead {
    /// This side has said that it is ready, for good.
    given: bool,
    /// So has the shadow.
    got: bool,
    /// Bytes that the shadow takes at most.
    pub(super) limit: Option<u64>,
}

impl GoAhead {
    /// Goes through what is due before an item.
    pub(super) fn exchange(&mut self, channel: &mut Channel) -> Result<(), Failure> {
        if self.given && self.got {
            return Ok(());
        }
        // The sender of files asks first.
        match channel.direction() {
            Direction::In => {
                self.give(channel)?;
                self.get(channel)
            }
            Direction::Out => {
                self.get(channel)?;
                self.give(channel)
            }
        }
    }

    /// Answers the shadow, at once and for all files.
    fn give(&mut self, channel: &mut Channel) -> Result<(), Failure> {
        if self.given {
            return Ok(());
        }
        channel.flush()?;
        // The shadow asks when its own waiting is over.
        channel.wait(Some(Duration::from_secs(u64::from(ALIVE) + SLACK)))?;
        let alive = channel.receive_int()?;
        if alive < i64::from(ALIVE) {
            let mut ad = ClassAd::new();
            ad.insert("Timeout", i64::from(ALIVE));
            ad.insert("Result", 0);
            channel.queue(|message| {
                message.value(&ad);
            })?;
        }
        let mut ad = ClassAd::new();
        ad.insert("Result", ALWAYS);
        if channel.direction() == Direction::In {
            ad.insert("MaxTransferBytes", -1);
        }
        channel.queue(|message| {
            message.value(&ad);
        })?;
        channel.flush()?;
        channel.wait(None)?;
        self.given = true;
        Ok(())
    }

    /// Asks the shadow, and waits as long as it says that it is still there.
    fn get(&mut self, channel: &mut Channel) -> Result<(), Failure> {
        if self.got {
            return Ok(());
        }
        let alive = channel.timeout.max(ALIVE);
        channel.queue_int(alive.into())?;
        channel.flush()?;
        channel.wait(Some(Duration::from_secs(u64::from(alive) + SLACK)))?;
        loop {
            let ad = channel.receive_first_ad()?;
            if let Some(limit) = ad.eval_i64("MaxTransferBytes") {
                self.limit = u64::try_from(limit).ok();
            }
            match ad.eval_i64("Result") {
                None => {
                    let text = "GoAhead message missing attribute: Result.";
                    return Err(Failure::job(channel.direction().step(), INVALID, 1, text));
                }
                Some(0) => {
                    let timeout = ad.eval_i64("Timeout").and_then(|time| u64::try_from(time).ok());
                    if let Some(time) = timeout.filter(|time| *time > 0) {
                        channel.wait(Some(Duration::from_secs(time)))?;
                    }
                }
                Some(..0) => return Err(refusal(&ad, channel)),
                Some(result) => {
                    self.got = result == ALWAYS;
                    return channel.wait(None);
                }
            }
        }
    }
}

/// The shadow doesn't want to, and says whether it might another time.
fn refusal(ad: &ClassAd, channel: &Channel) -> Failure {
    let number = |name| ad.eval_i64(name).and_then(|number| i32::try_from(number).ok());
    let reason = ad.eval_string("HoldReason").unwrap_or_else(|| "no reason given".to_owned());
    let message = format!("the shadow at {} refused the go-ahead: {reason}", channel.shadow);
    let again = ad.eval_bool("TryAgain").unwrap_or(true);
    let code = number("HoldReasonCode").filter(|code| *code != 0);
    match code {
        Some(code) if !again => {
            let subcode = number("HoldReasonSubCode").unwrap_or(0);
            Failure {
                disposition: Disposition::Hold { code, subcode },
                ..channel.direction().host(message)
            }
        }
        None if !again => Failure::job(channel.direction().step(), INVALID, 1, message),
        _ => channel.direction().host(message),
    }
}
