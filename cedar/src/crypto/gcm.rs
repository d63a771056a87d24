//! AES-256-GCM with the nonce of 16 bytes that HTCondor uses.
//!
//! A nonce that isn't 12 bytes long is hashed to get the first counter block (NIST SP 800-38D,
//! section 7.1), and the interfaces of ring and aws-lc-rs have no room for that. So the mode is
//! put together here from the parts of RustCrypto: AES in counter mode, and POLYVAL.
//!
//! GHASH is POLYVAL with the bytes of every block reversed (RFC 8452, appendix A). The `ghash` crate
//! reverses them one block at a time, which takes twice as long as the hash; here they are reversed
//! in bulk.

use aes::Aes256;
use aes::cipher::{
    Array, BlockCipherEncrypt, InnerIvInit, KeyInit as _, StreamCipher, StreamCipherCoreWrapper,
};
use ctr::{CtrCore, flavors};
use polyval::hazmat::FieldElement;
use polyval::universal_hash::UniversalHash;
use polyval::{Block, Polyval};

use super::SessionKey;

/// Bytes of a nonce.
pub(crate) const NONCE: usize = 16;
/// Bytes of a tag.
pub(crate) const TAG: usize = 16;
/// Bytes of a block.
const BLOCK: usize = 16;
/// Blocks that are reversed at a time: 1 KiB, which stays in the first cache.
const BULK: usize = 64;

/// A tag that doesn't belong to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadTag;

/// A key, ready for use.
pub(crate) struct Gcm {
    cipher: Aes256,
    hash: Polyval,
}

impl Gcm {
    pub(crate) fn new(key: &SessionKey) -> Self {
        let cipher = Aes256::new(&Array::from(*key.as_bytes()));
        let mut subkey = Array::from([0; BLOCK]);
        cipher.encrypt_block(&mut subkey);
        let subkey = FieldElement::from(<[u8; BLOCK]>::from(subkey)).reverse().mulx();
        Self { cipher, hash: Polyval::new(&Block::from(subkey)) }
    }

    /// Encrypts `data` where it is.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        let first = self.first_counter(nonce);
        self.apply(first, data);
        let hash: [u8; BLOCK] = self.hash(aad, data).finalize().into();
        self.mask(first, reversed(hash))
    }

    /// Decrypts `data` where it is, but only if `tag` belongs to it.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), BadTag> {
        let first = self.first_counter(nonce);
        let expected = reversed(self.mask(first, *tag));
        // In constant time.
        self.hash(aad, data).verify(&Block::from(expected)).map_err(|_| BadTag)?;
        self.apply(first, data);
        Ok(())
    }

    /// The block that masks the tag; its successors encrypt.
    fn first_counter(&self, nonce: &[u8; NONCE]) -> [u8; BLOCK] {
        let mut hash = self.hash.clone();
        hash.update(&[Block::from(reversed(*nonce)), lengths(0, NONCE)]);
        reversed(hash.finalize().into())
    }

    fn hash(&self, aad: &[u8], data: &[u8]) -> Polyval {
        let mut hash = self.hash.clone();
        update(&mut hash, aad);
        update(&mut hash, data);
        hash.update(&[lengths(aad.len(), data.len())]);
        hash
    }

    /// Encrypts or decrypts.
    fn apply(&self, first: [u8; BLOCK], data: &mut [u8]) {
        // Only the last four bytes count, and they wrap.
        let mut counter = first;
        if let Some(low) = counter.last_chunk_mut::<4>() {
            *low = u32::from_be_bytes(*low).wrapping_add(1).to_be_bytes();
        }
        let core: CtrCore<&Aes256, flavors::Ctr32BE> =
            CtrCore::inner_iv_init(&self.cipher, &Array::from(counter));
        StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
    }

    /// Puts the mask on a tag, or takes it off.
    fn mask(&self, first: [u8; BLOCK], tag: [u8; TAG]) -> [u8; TAG] {
        let mut mask = Array::from(first);
        self.cipher.encrypt_block(&mut mask);
        (u128::from_ne_bytes(mask.into()) ^ u128::from_ne_bytes(tag)).to_ne_bytes()
    }
}

fn reversed(block: [u8; BLOCK]) -> [u8; BLOCK] {
    u128::from_be_bytes(block).to_le_bytes()
}

/// The last block: both lengths in bits. Reversed as all the others.
fn lengths(aad: usize, data: usize) -> Block {
    Block::from((((aad as u128) << 64 | data as u128) * 8).to_le_bytes())
}

/// Hashes `data`, filled up with zeros to whole blocks.
fn update(hash: &mut Polyval, data: &[u8]) {
    let mut blocks = [Block::default(); BULK];
    for bulk in data.chunks(BULK * BLOCK) {
        let (whole, rest) = bulk.as_chunks::<BLOCK>();
        let mut count = whole.len();
        for (to, from) in blocks.iter_mut().zip(whole) {
            *to = Block::from(reversed(*from));
        }
        if !rest.is_empty() {
            let mut last = [0; BLOCK];
            last[..rest.len()].copy_from_slice(rest);
            blocks[count] = Block::from(reversed(last));
            count += 1;
        }
        hash.update(&blocks[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::unhex;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        unhex(text).unwrap().try_into().unwrap()
    }

    /// From a real conversation: startd 25.14.1, second packet on.
    #[test]
    fn as_recorded() {
        let key = "361a37bba59db595a6171c9783bea03d829d6d5cf5fb6a078a258d05d1346ae4";
        let gcm = Gcm::new(&SessionKey::from_bytes(bytes(key)));
        let nonce = bytes("5a17813cf763e7a688c34a3489b0c18c");
        let mut data = bytes::<8>("ffffffffffffffc1");
        let tag = gcm.seal(&nonce, &[1, 0, 0, 0, 0x18], &mut data);
        assert_eq!(data, bytes("65414baa50481cdc"));
        assert_eq!(tag, bytes("e541cd6c9f6e168f4e351059640ec2df"));
    }

    #[test]
    fn every_length_comes_back_and_a_change_is_noticed() {
        let gcm = Gcm::new(&SessionKey::from_bytes([7; 32]));
        let plain: Vec<u8> = (0..=255).cycle().take(3000).collect();
        for length in (0..100).chain(1000..1100).chain([2048, 3000]) {
            let mut data = plain[..length].to_vec();
            let tag = gcm.seal(&[9; 16], b"head", &mut data);
            let sealed = data.clone();
            assert_eq!(gcm.open(&[9; 16], b"heap", &mut data, &tag), Err(BadTag));
            if length > 0 {
                data[length / 2] ^= 1;
                assert_eq!(gcm.open(&[9; 16], b"head", &mut data, &tag), Err(BadTag));
                data[length / 2] ^= 1;
            }
            assert_eq!(data, sealed, "left alone");
            assert_eq!(gcm.open(&[9; 16], b"head", &mut data, &tag), Ok(()));
            assert_eq!(data, plain[..length]);
        }
    }

    /// Agreement with another implementation, the counter wrapping or not.
    #[test]
    fn as_aes_gcm_does_it() {
        use aes_gcm::AesGcm;
        use aes_gcm::aead::AeadInOut;
        use aes_gcm::aead::consts::U16;
        let other = AesGcm::<Aes256, U16>::new(&Array::from([3; 32]));
        let gcm = Gcm::new(&SessionKey::from_bytes([3; 32]));
        for n in 0..50u8 {
            let mut ours = vec![n; usize::from(n) * 111];
            let mut theirs = ours.clone();
            let tag = gcm.seal(&[n; 16], &[n; 69], &mut ours);
            let same = other
                .encrypt_inout_detached(
                    &Array::from([n; 16]),
                    &[n; 69],
                    theirs.as_mut_slice().into(),
                )
                .unwrap();
            assert_eq!(ours, theirs);
            assert_eq!(tag, <[u8; 16]>::from(same));
        }
    }
}
