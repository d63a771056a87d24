//! Output that goes to URLs: plugins store it, and the shadow is told what became of it.

use classad::{ClassAd, Value};

use super::ack::{Problem, RECEIVER, SENDER};
use super::deliver::Sender;
use super::item;
use crate::failure::Failure;
use crate::transfer::plugins::{Caller, Upload, Uploaded, url};

impl Sender<'_> {
    /// Has everything stored and told.
    pub(super) fn store(
        &mut self,
        mut uploads: Vec<Upload>,
        plugins: &mut Caller<'_>,
    ) -> Result<(), Failure> {
        if plugins.signs() {
            self.sign(&mut uploads)?;
        }
        let checkpoint = self.what.urls.checkpoint().is_some();
        uploads.sort_by_key(|upload| url::scheme(&upload.url));
        let mut rest = uploads.as_slice();
        while let Some(first) = rest.first() {
            // The shadow may have this side wait for its turn, and then plugins wait, too.
            self.head(item::EXTENSION, first.name.as_bytes())?;
            self.channel.flush()?;
            let count = plugins.group(rest).clamp(1, rest.len());
            let (now, later) = rest.split_at(count);
            let (done, outcome) = plugins.store(now);
            for (index, one) in done.iter().enumerate() {
                if index > 0 {
                    self.head(item::EXTENSION, one.upload.name.as_bytes())?;
                }
                let mut ad = told(one);
                if checkpoint {
                    // The shadow then keeps the list though a file is missing: what is there already
                    // has to be removed one day.
                    ad.insert("CheckpointURL", true);
                }
                self.channel.queue(|message| {
                    message.value(&ad);
                })?;
            }
            match outcome {
                // The shadow has heard of the files, and will say what that means.
                Err(fault) if checkpoint && fault.is_told() => {
                    self.unstored.get_or_insert(fault.text);
                }
                Err(fault) => self.note(Problem::of_plugin(fault, SENDER)),
                Ok(()) => {}
            }
            rest = later;
        }
        Ok(())
    }

    /// Asks for signatures of URLs in object stores, whose keys the shadow has; URLs that it signs are
    /// those of plain web servers.
    fn sign(&mut self, uploads: &mut Vec<Upload>) -> Result<(), Failure> {
        let unsigned: Vec<String> = uploads
            .iter()
            .filter(|upload| is_in_object_store(&upload.url))
            .map(|upload| upload.url.clone())
            .collect();
        if unsigned.is_empty() {
            return Ok(());
        }
        let mut ad = ClassAd::new();
        ad.insert("SubCommand", item::SIGN);
        ad.insert("SignList", classad::Expr::list(unsigned.iter().map(Into::into)));
        self.head(item::EXTENSION, b"")?;
        self.channel.queue(|message| {
            message.value(&ad);
        })?;
        self.channel.flush()?;
        let answer: ClassAd = self.channel.receive_value()?;
        if let Some(text) = answer.eval_string("HoldReason") {
            let number = |name| answer.eval_i64(name).and_then(|number| i32::try_from(number).ok());
            let code = number("HoldReasonCode").unwrap_or(RECEIVER);
            let subcode = number("HoldReasonSubCode").unwrap_or(-1);
            self.note(Problem { again: false, code, subcode, text: format!("|Error: {text}") });
            uploads.retain(|upload| !is_in_object_store(&upload.url));
            return Ok(());
        }
        let Value::List(signed) = answer.eval("SignList") else { return Ok(()) };
        for (own, signed) in unsigned.iter().zip(signed.values()) {
            // An empty one is a refusal: perhaps a plugin knows what to do.
            let Some(signed) = signed.as_str().filter(|signed| !signed.is_empty()) else {
                continue;
            };
            for upload in uploads.iter_mut().filter(|upload| upload.url == *own) {
                upload.url = signed.to_owned();
            }
        }
        Ok(())
    }
}

fn is_in_object_store(text: &str) -> bool {
    matches!(url::scheme(text).as_deref(), Some("s3" | "gs"))
}

/// The ad of a file that was stored, or could not be.
fn told(one: &Uploaded) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert("ProtocolVersion", 1);
    ad.insert("Command", item::EXTENSION);
    ad.insert("SubCommand", item::STORED);
    ad.insert("Filename", &one.upload.name);
    ad.insert("OutputDestination", &one.upload.url);
    ad.insert("Result", i32::from(one.error.is_some()));
    if let Some(error) = &one.error {
        ad.insert("ErrorString", error.replace('\n', "\\n"));
    }
    ad
}
