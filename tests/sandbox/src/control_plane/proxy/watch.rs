//! The lines of a watch, each handed on at once or, where a fault has it, later. What is told of one object keeps its
//! order, and overtakes nothing that was told of it before.

use std::{collections::VecDeque, io, sync::Arc};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame, Incoming};
use tokio::time::{Instant, sleep_until};

use super::Shared;

pub(super) type Lines = UnboundedReceiver<io::Result<Frame<Bytes>>>;

/// Hands a body on line by line; it ends when either side does.
pub(super) fn lines(body: Incoming, shared: Arc<Shared>) -> Lines {
    let (sender, lines) = unbounded();
    tokio::spawn(hand_on(body, shared, sender));
    lines
}

async fn hand_on(mut body: Incoming, shared: Arc<Shared>, client: UnboundedSender<io::Result<Frame<Bytes>>>) {
    let mut partial: Vec<u8> = Vec::new();
    let mut held: VecDeque<(Instant, Bytes)> = VecDeque::new();
    let send = |line: Bytes| client.unbounded_send(Ok(Frame::data(line))).is_ok();
    loop {
        let due = held.front().map(|(at, _)| *at);
        let wait = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {
                if let Some((_, line)) = held.pop_front()
                    && !send(line)
                {
                    return;
                }
            }
            frame = body.frame() => {
                let Some(Ok(frame)) = frame else {
                    send(Bytes::from(partial));
                    return;
                };
                let Ok(data) = frame.into_data() else { continue };
                partial.extend_from_slice(&data);
                while let Some(end) = partial.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = partial.drain(..=end).collect();
                    let lag = shared.faults.lag(&String::from_utf8_lossy(&line));
                    let line = Bytes::from(line);
                    if lag.is_zero() {
                        if !send(line) {
                            return;
                        }
                    } else {
                        held.push_back((Instant::now() + lag, line));
                    }
                }
            }
        }
    }
}
