//! What each side says when it is done: whether all went well, who is to blame, and how much it was.

use classad::ClassAd;
use serde::{Deserialize, Serialize};

use super::channel::Channel;
use crate::failure::{Disposition, Failure};
use crate::transfer::fault::Direction;
use crate::transfer::plugins::{Fault, UrlStats};

/// `HoldReasonCode`: the side that receives files failed. In the messages of a transfer the codes
/// mean sides; the shadow makes of them what its user sees, by the direction.
pub(super) const RECEIVER: i32 = 12;
/// `HoldReasonCode`: the side that sends files failed.
pub(super) const SENDER: i32 = 13;
/// `HoldReasonCode` for an ack without a result.
const INVALID: i32 = 11;

/// What went through the connection itself; what plugins moved is `UrlStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// Files; directories count on the sending side only, as HTCondor has it.
    pub(crate) files: u64,
    /// Bytes in them.
    pub(crate) bytes: u64,
}

/// Which attributes the peer's release has in `TransferStats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Before 24.10: the number of files.
    Count,
    /// Sizes and protocols, too.
    Sizes,
}

impl Dialect {
    /// The dialect of a release, by its `$CondorVersion: 25.14.1 ...$`.
    pub(super) fn of(version: Option<&str>) -> Self {
        let release = version.and_then(|text| text.split_whitespace().nth(1));
        let mut numbers = release.unwrap_or_default().split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (24, 10) => Self::Count,
            _ => Self::Sizes,
        }
    }
}

impl Stats {
    /// `TransferStats`.
    fn ad(self, dialect: Dialect, urls: &UrlStats) -> ClassAd {
        let number = |value| i64::try_from(value).unwrap_or(i64::MAX);
        let mut ad = ClassAd::new();
        if dialect == Dialect::Sizes {
            let measured = urls.0.iter().filter(|(_, (_, bytes))| bytes.is_some());
            let others = measured.map(|(protocol, _)| protocol.as_str());
            let protocols: Vec<&str> =
                (self.bytes > 0).then_some("cedar").into_iter().chain(others).collect();
            ad.insert_value("Protocols", protocols.join(","));
            if self.bytes > 0 {
                ad.insert("CedarSizeBytes", number(self.bytes));
            }
        }
        for (protocol, (files, bytes)) in &urls.0 {
            ad.insert(format!("{protocol}FilesCount"), number(*files));
            if let Some(bytes) = bytes {
                ad.insert(format!("{protocol}SizeBytes"), *bytes);
            }
        }
        if self.files > 0 {
            ad.insert("CedarFilesCount", number(self.files));
        }
        ad
    }
}

/// Something that doesn't end the conversation, but will be said at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Whether it may go well another time, on another machine.
    pub(super) again: bool,
    /// `HoldReasonCode`.
    pub(super) code: i32,
    /// `HoldReasonSubCode`.
    pub(super) subcode: i32,
    /// What happened, in the words that the other side looks for.
    pub(super) text: String,
}

impl Problem {
    /// That of plugins.
    pub(super) fn of_plugin(fault: Fault, code: i32) -> Self {
        Self { again: fault.again, code, subcode: fault.subcode, text: fault.text }
    }

    /// As the failure of this side's work, with another text.
    pub(super) fn failure(&self, direction: Direction, text: String) -> Failure {
        let disposition = if self.again {
            Disposition::Elsewhere
        } else {
            Disposition::Hold { code: self.code, subcode: self.subcode }
        };
        Failure { disposition, ..Failure::host(direction.step(), text) }
    }
}

/// Sends an ack; `Err` in it is a problem with the text that the shadow is told.
pub(super) fn send(
    channel: &mut Channel,
    (stats, urls): (Stats, &UrlStats),
    dialect: Dialect,
    outcome: Result<(), (&Problem, &str)>,
) -> Result<(), Failure> {
    let mut ad = ClassAd::new();
    ad.insert(
        "Result",
        match outcome {
            Ok(()) => 0,
            Err((problem, _)) if problem.again => 1,
            Err(_) => -1,
        },
    );
    ad.insert("TransferStats", stats.ad(dialect, urls));
    if let Err((problem, text)) = outcome {
        ad.insert("HoldReasonCode", problem.code);
        ad.insert("HoldReasonSubCode", problem.subcode);
        ad.insert("HoldReason", text.replace('\n', "\\n"));
    }
    channel.queue(|message| {
        message.value(&ad);
    })?;
    channel.flush()
}

/// Receives the shadow's ack: what it complains about, if it does.
pub(super) fn receive(channel: &mut Channel) -> Result<Option<Problem>, Failure> {
    let ad: ClassAd = channel.receive_value()?;
    let number = |name| ad.eval_i64(name).and_then(|number| i32::try_from(number).ok());
    let Some(result) = ad.eval_i64("Result") else {
        let text = "Download acknowledgment missing attribute: Result".to_owned();
        return Ok(Some(Problem { again: false, code: INVALID, subcode: 0, text }));
    };
    if result == 0 {
        return Ok(None);
    }
    // The shadow's side is the one that sends input, and the one that receives output.
    let usual = match channel.direction() {
        Direction::In => SENDER,
        Direction::Out => RECEIVER,
    };
    Ok(Some(Problem {
        again: result > 0,
        code: number("HoldReasonCode").filter(|code| *code != 0).unwrap_or(usual),
        subcode: number("HoldReasonSubCode").unwrap_or(0),
        text: ad.eval_string("HoldReason").unwrap_or_default(),
    }))
}
