//! A shadow's side of the channel for requests.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::Sender;
use std::thread;

use classad::ClassAd;
use condor_cedar::blocking::Stream;
use condor_cedar::{Error, Reader};

use super::{Event, NEW, Setup, claim_id};

pub(crate) const JOB_INFO: i64 = -63;
pub(crate) const STARTER_INFO: i64 = -77;
pub(crate) const SESSIONS: i64 = 288;
pub(crate) const CREDENTIALS: i64 = 302;
pub(crate) const JOB_UPDATE: i64 = -81;
pub(crate) const BEGIN_EXECUTION: i64 = -78;
pub(crate) const EVENT: i64 = 304;
pub(crate) const GUIDANCE: i64 = 305;
pub(crate) const ULOG: i64 = 284;
pub(crate) const JOB_EXIT: i64 = -65;

// What a job has it do with files.
pub(crate) const FILE_INFO: i64 = -74;
pub(crate) const OPEN: i64 = 66;
pub(crate) const FSTAT: i64 = 24;
pub(crate) const WRITE: i64 = 120;
pub(crate) const CLOSE: i64 = 10;

/// The descriptor of every file that it opens.
pub(crate) const FILE: i64 = 7;

/// The name of the claim's session.
pub(crate) const CLAIM_SESSION: &str = "<127.0.0.1:1>#1#2";

/// The name of the session for files.
pub(crate) const TRANSFER_SESSION: &str = "filetrans.<127.0.0.1:1>#1#2";

/// What a shadow does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Closes the connection.
    Close,
    /// Says nothing, and reads on.
    Stall,
    /// Sends what is no packet of this stream.
    Garbage,
    /// Announces 4 GiB.
    Huge,
    /// Sends half of an answer and closes.
    Half,
    /// Fails with this errno.
    Errno(i64),
    /// Answers with something else than what was asked for.
    WrongType,
    /// Answers twice.
    Twice,
    /// Dies once its answer is on its way.
    CloseAfter,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) number: i64,
    /// Its ad, if it has one.
    pub(crate) ad: ClassAd,
    /// Status and reason of a job's exit.
    pub(crate) exit: Option<(i64, i64)>,
}

fn read(mut message: Reader<'_>) -> Result<Request, Error> {
    let number = message.i64()?;
    let mut request = Request { number, ad: ClassAd::new(), exit: None };
    match number {
        JOB_INFO | BEGIN_EXECUTION => {}
        SESSIONS => {
            message.string()?;
            message.string()?;
        }
        CREDENTIALS => {
            message.string()?;
        }
        JOB_EXIT => {
            request.exit = Some((message.i64()?, message.i64()?));
            request.ad = message.value()?;
        }
        STARTER_INFO | JOB_UPDATE | EVENT | GUIDANCE | ULOG => request.ad = message.value()?,
        FILE_INFO => {
            message.string()?;
        }
        OPEN => {
            message.i64()?;
            message.i64()?;
            message.string()?;
        }
        FSTAT | CLOSE => {
            message.i64()?;
        }
        WRITE => {
            message.i64()?;
            let length = message.i64()?;
            let bytes = message.bytes(usize::try_from(length).unwrap())?;
            request.ad.insert_value("Written", String::from_utf8_lossy(bytes).into_owned());
        }
        other => panic!("request {other}, which this shadow doesn't know"),
    }
    message.finish()?;
    Ok(request)
}

/// The job as its shadow describes it.
fn job(setup: &Setup, transfer: [(&'static str, String); 2]) -> ClassAd {
    let mut ad = ClassAd::new();
    ad.insert_value("ClusterId", 7_i64);
    ad.insert_value("ProcId", 0_i64);
    ad.insert_value("GlobalJobId", "pool.test#7.0#1");
    ad.insert_value("JobUniverse", 5_i64);
    ad.insert_value("Owner", "alice");
    ad.insert_value("User", "alice@pool.test");
    ad.insert_value("Iwd", "/home/alice/submit");
    ad.insert_value("Cmd", "/home/alice/submit/run.sh");
    ad.insert_value("In", "/dev/null");
    ad.insert_value("Out", "out");
    ad.insert_value("Err", "err");
    ad.insert_value("ShouldTransferFiles", "YES");
    ad.insert_value("WhenToTransferOutput", "ON_EXIT");
    ad.insert_value("TransferExecutable", true);
    ad.insert_value("ShadowIpAddr", "<127.0.0.1:1?noUDP>");
    ad.insert_value("ShadowVersion", setup.release);
    ad.insert_value("UidDomain", "pool.test");
    for (name, value) in transfer {
        ad.insert_value(name, value);
    }
    for (name, value) in &setup.job {
        ad.insert_value(*name, value.clone());
    }
    ad
}

/// Serves a starter until one of them has had enough.
pub(crate) fn start(
    mut stream: Stream<TcpStream>,
    setup: &Setup,
    transfer: [(&'static str, String); 2],
    tell: Sender<Event>,
) {
    let (release, fault, ad) = (setup.release, setup.shadow, job(setup, transfer));
    let mut guidance = setup.guidance.clone().into_iter();
    thread::spawn(move || {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        while let Ok(message) = stream.receive() {
            let request = read(message).expect("a request as it should be");
            let number = request.number;
            let count = counts.entry(number).or_default();
            *count += 1;
            let deed = fault.filter(|(at, nth, _)| (*at, *nth) == (number, *count));
            let _ = tell.send(Event::Asked(request));
            let going = match deed {
                None if number == GUIDANCE => {
                    let text = guidance.next().unwrap_or("[Command=\"CarryOn\"]");
                    let mut message = stream.writer();
                    message.i64(0).value(&ClassAd::parse(text).unwrap());
                    stream.send(&message).is_ok()
                }
                None => answer(&mut stream, number, release, &ad),
                Some((_, _, deed)) => misbehave(&mut stream, deed, number, release, &ad),
            };
            if !going {
                break;
            }
        }
        let _ = tell.send(Event::ShadowClosed);
    });
}

/// Does as asked; whether the connection is still good.
fn answer(stream: &mut Stream<TcpStream>, number: i64, release: &str, ad: &ClassAd) -> bool {
    let mut message = stream.writer();
    match number {
        ULOG => return true,
        JOB_INFO => {
            message.i64(0).value(ad);
        }
        SESSIONS => {
            message.i64(1);
            for id in [CLAIM_SESSION, TRANSFER_SESSION] {
                let claim = claim_id(id, release);
                message.string(claim.session_id()).string(claim.info_text()).string(claim.secret());
            }
        }
        CREDENTIALS => {
            let services = ad.eval_string("OAuthServicesNeeded").unwrap_or_default();
            // Another one each time.
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let token = if now.as_secs().is_multiple_of(2) { "dG9rZW4=" } else { "dG9rZU4=" };
            for service in services.split(',').filter(|service| !service.starts_with("absent")) {
                let mut ad = ClassAd::new();
                ad.insert_value("Service", service.to_owned());
                ad.insert_value("Data", token);
                message.i64(1).value(&ad);
            }
            message.i64(if services.starts_with("broken") { -1 } else { 0 });
        }
        FILE_INFO => {
            message.i64(0).string("/home/alice/submit/file");
        }
        OPEN => {
            message.i64(FILE);
        }
        FSTAT => {
            message.i64(0).string("1 2 3");
        }
        WRITE => {
            message.i64(3);
        }
        // A negative one that is no errno.
        EVENT if release == NEW => {
            message.i64(-3);
        }
        _ => {
            message.i64(0);
        }
    }
    stream.send(&message).is_ok()
}

fn misbehave(
    stream: &mut Stream<TcpStream>,
    deed: Deed,
    number: i64,
    release: &str,
    ad: &ClassAd,
) -> bool {
    match deed {
        Deed::Close => {}
        Deed::Stall => wait_for_the_end(stream),
        Deed::Garbage => {
            let _ = stream.socket().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nwhat?\r\n");
            wait_for_the_end(stream);
        }
        Deed::Huge => {
            let _ = stream.socket().write_all(&[1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]);
            wait_for_the_end(stream);
        }
        Deed::Half => {
            let _ = stream.socket().write_all(&[1, 0, 0, 0, 24, 1, 2, 3]);
        }
        Deed::Errno(errno) => {
            let mut message = stream.writer();
            message.i64(-1).i64(errno);
            return stream.send(&message).is_ok();
        }
        Deed::WrongType => {
            let mut message = stream.writer();
            message.i64(0).string("this is not what you asked for");
            let _ = stream.send(&message);
            wait_for_the_end(stream);
        }
        Deed::Twice => {
            return answer(stream, number, release, ad) && answer(stream, number, release, ad);
        }
        Deed::CloseAfter => {
            answer(stream, number, release, ad);
        }
    }
    false
}

/// Reads until the starter is gone.
fn wait_for_the_end(stream: &Stream<TcpStream>) {
    let mut scrap = [0; 4096];
    while matches!(stream.socket().read(&mut scrap), Ok(1..)) {}
}
