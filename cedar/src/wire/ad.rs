//! ClassAds on the wire: a count, a line for each attribute, and two strings that nobody reads.

use classad::{ClassAd, Expr, Text};

use super::reader::within;
use super::{Codec, Reader, Writer};
use crate::error::{Error, PeerMisbehaved, Result};

/// Most attributes in an ad: the limit of HTCondor 25.14.1.
pub const MAX_ATTRIBUTES: usize = 1_000_000;
/// Most attributes in an ad that comes before the peer is known: the limit of HTCondor 25.14.1.
pub const MAX_HANDSHAKE_ATTRIBUTES: usize = 100;

/// Announces that the next string is a secret one; the two count as one attribute.
const SECRET: &[u8] = b"ZKM";

impl Codec for ClassAd {
    /// Everything in the ad, secrets too: leave them out beforehand
    /// ([`ClassAd::without_private`]) where they must not go.
    fn encode(&self, to: &mut Writer) {
        to.size(self.len());
        let mut line = Vec::new();
        for (name, expr) in self.iter() {
            line.clear();
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(b" = ");
            line.extend_from_slice(&expr.to_old_bytes());
            to.string(&line);
        }
        // MyType and TargetType: they are among the attributes, in every release that still runs.
        to.string("").string("");
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let mut pairs = Vec::new();
        for _ in 0..count(from, MAX_ATTRIBUTES)? {
            let mut line = from.string()?;
            if line == SECRET {
                line = from.string()?;
            }
            let (name, value) = split(line)?;
            let expr = Expr::parse_old(value).map_err(|error| Error::Expression {
                name: String::from_utf8_lossy(name).into_owned(),
                reason: error.kind,
            })?;
            pairs.push((Text::from(name), expr));
        }
        trailer(from)?;
        Ok(pairs.into_iter().collect())
    }
}

/// Reads an ad from a peer that isn't known yet: few attributes, and nothing in them but literals.
pub(crate) fn handshake_ad(from: &mut Reader<'_>) -> Result<ClassAd> {
    let mut pairs = Vec::new();
    for _ in 0..count(from, MAX_HANDSHAKE_ATTRIBUTES)? {
        // The marker of secrets has no `=` and so is refused.
        let (name, value) = split(from.string()?)?;
        let literal = Expr::parse_old(value).ok().and_then(|expr| expr.as_literal());
        pairs.push((Text::from(name), Expr::from(literal.ok_or(PeerMisbehaved::NotLiteral)?)));
    }
    trailer(from)?;
    Ok(pairs.into_iter().collect())
}

fn count(from: &mut Reader<'_>, limit: usize) -> Result<usize> {
    let count = from.integer("number of attributes")?;
    within("ad", count, limit)?;
    Ok(count)
}

fn trailer(from: &mut Reader<'_>) -> Result<()> {
    from.nullable_string()?;
    from.nullable_string()?;
    Ok(())
}

/// Name and expression of a line: the first `=` is between them, whatever the expression holds.
fn split(line: &[u8]) -> Result<(&[u8], &[u8])> {
    let line = line.trim_ascii_start();
    let equals = line.iter().position(|b| *b == b'=').ok_or(PeerMisbehaved::NoAttribute)?;
    let mut name = &line[..equals];
    // Blanks only, as HTCondor has it.
    while let Some(shorter) = name.strip_suffix(b" ") {
        name = shorter;
    }
    if name.is_empty() {
        return Err(PeerMisbehaved::NoAttribute.into());
    }
    Ok((name, line[equals + 1..].trim_ascii()))
}
