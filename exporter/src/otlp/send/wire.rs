//! The bytes of a request as they travel: compressed once, framed once, the same for every retry.
//!
//! gRPC puts five bytes before a message ("Length-Prefixed-Message" in gRPC over HTTP/2); OTLP/HTTP sends it bare.

use std::borrow::Cow;
use std::io::{Read, Write};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hyper::body::Bytes;

use super::super::config::{Compression, Protocol};

/// The body of an HTTP request that carries `body`. Large ones are compressed on another thread: exporters share
/// theirs with everything else the program serves.
pub(super) async fn pack(body: Bytes, protocol: Protocol, compression: Compression) -> Bytes {
    match (compression, protocol) {
        (Compression::None, Protocol::Http) => body,
        (Compression::Gzip, _) if body.len() > INLINE_BYTES => {
            let packed = tokio::task::spawn_blocking(move || framed(&body, protocol, compression));
            packed.await.expect("compression does not panic, and a task that runs is not cancelled")
        }
        _ => framed(&body, protocol, compression),
    }
}

/// The message in a reply over gRPC; `None` when it is not one whole message of `most` bytes or fewer. `gzip` says
/// how it is compressed if its flag says that it is: servers answer as they were asked.
pub(super) fn unframed(reply: &[u8], gzip: bool, most: usize) -> Option<Cow<'_, [u8]>> {
    let (head, message) = reply.split_first_chunk::<HEAD>()?;
    let [flag, length @ ..] = *head;
    if u32::from_be_bytes(length) as usize != message.len() {
        return None;
    }
    match flag {
        0 => Some(message.into()),
        1 if gzip => gunzip(message, most).map(Cow::from),
        _ => None,
    }
}

/// The body that was packed; `None` when it is not what [`pack`] makes of one of `most` bytes or fewer.
pub(super) fn unpack(packed: &Bytes, protocol: Protocol, compression: Compression, most: usize) -> Option<Bytes> {
    let gzip = compression == Compression::Gzip;
    match protocol {
        Protocol::Grpc => Some(unframed(packed, gzip, most)?.into_owned().into()),
        Protocol::Http if gzip => Some(gunzip(packed, most)?.into()),
        Protocol::Http => (packed.len() <= most).then(|| packed.clone()),
    }
}

fn gunzip(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let read = GzDecoder::new(packed).take(most as u64 + 1).read_to_end(&mut plain).ok()?;
    (read <= most).then_some(plain)
}

fn framed(body: &[u8], protocol: Protocol, compression: Compression) -> Bytes {
    let head = match protocol {
        Protocol::Grpc => HEAD,
        Protocol::Http => 0,
    };
    let mut packed = vec![0; head];
    match compression {
        Compression::Gzip => {
            packed.reserve(body.len() / USUAL_RATIO);
            let mut gzip = GzEncoder::new(packed, flate2::Compression::fast());
            gzip.write_all(body).expect("a vector takes everything");
            packed = gzip.finish().expect("a vector takes everything");
        }
        Compression::None => packed.extend_from_slice(body),
    }
    let length = u32::try_from(packed.len() - head).expect("max_request_size is far below 4 GiB");
    if let Some(head) = packed.first_chunk_mut::<HEAD>().filter(|_| protocol == Protocol::Grpc) {
        head[0] = u8::from(compression == Compression::Gzip);
        head[1..].copy_from_slice(&length.to_be_bytes());
    }
    packed.into()
}

/// Flag and length.
const HEAD: usize = 5;
/// Up to here compressing takes a tenth of a millisecond, less than changing the thread costs.
const INLINE_BYTES: usize = 64 * 1024;
/// What level 1 makes of OTLP, cautiously.
const USUAL_RATIO: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(length: usize) -> Bytes {
        (0..length).map(|index| (index / 7 % 251) as u8).collect()
    }

    fn unzipped(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
        out
    }

    #[tokio::test]
    async fn what_is_packed_can_be_unpacked_in_every_combination() {
        for length in [0, 1, 1000, INLINE_BYTES, 3 * INLINE_BYTES] {
            let plain = body(length);
            let pack = |protocol, compression| pack(plain.clone(), protocol, compression);
            for protocol in [Protocol::Http, Protocol::Grpc] {
                for compression in [Compression::None, Compression::Gzip] {
                    let packed = pack(protocol, compression).await;
                    assert_eq!(unpack(&packed, protocol, compression, length).as_ref(), Some(&plain));
                }
            }
            assert_eq!(pack(Protocol::Http, Compression::None).await, plain);
            assert_eq!(unzipped(&pack(Protocol::Http, Compression::Gzip).await), plain);
            let grpc = pack(Protocol::Grpc, Compression::None).await;
            assert_eq!(unframed(&grpc, false, length).as_deref(), Some(plain.as_ref()));
            let grpc = pack(Protocol::Grpc, Compression::Gzip).await;
            assert_eq!((grpc[0], grpc[1..HEAD].to_vec()), (1, ((grpc.len() - HEAD) as u32).to_be_bytes().to_vec()));
            assert_eq!(unzipped(&grpc[HEAD..]), plain);
            assert_eq!(unframed(&grpc, true, length).as_deref(), Some(plain.as_ref()));
            assert_eq!(unframed(&grpc, false, length), None, "nobody said how it is compressed");
            assert_eq!(
                length == 0,
                unframed(&grpc, true, length.saturating_sub(1)).is_some(),
                "a bomb is not unpacked"
            );
        }
    }

    #[test]
    fn a_reply_that_is_not_one_whole_message_is_none() {
        assert_eq!(unframed(&[0, 0, 0, 0, 0], false, 0).as_deref(), Some([].as_slice()));
        for reply in [
            [].as_slice(),
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 7],
            &[1, 0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 0x1f, 0x8b],
            &[2, 0, 0, 0, 0],
            &[0, 255, 255, 255, 255, 1],
        ] {
            assert_eq!(unframed(reply, true, 1000), None, "{reply:?}");
        }
    }
}
