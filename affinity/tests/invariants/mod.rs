//! What holds of a glance at any bytes. Shared with the fuzz target.

use affinity::{CALL_ID, Glance, Start, WINDOW};

/// Looks at some bytes and checks what it says of them.
pub fn check_glance(bytes: &[u8]) {
    let glance = Glance::at(bytes);
    // What stands behind the window means nothing.
    assert_eq!(glance, Glance::at(&bytes[..bytes.len().min(WINDOW)]));
    let Some(glance) = glance else { return };
    if let Start::Response(status) = glance.start {
        assert!((100..700).contains(&status), "{status}");
    }
    let seen = &bytes[..bytes.len().min(WINDOW)];
    let within = |part: &[u8]| part.is_empty() || seen.as_ptr_range().contains(&part.as_ptr());
    if let Some(call_id) = glance.call_id {
        assert!((1..=CALL_ID).contains(&call_id.len()) && within(call_id));
        assert!(!call_id.iter().any(|byte| b" \t\r\n".contains(byte)), "{call_id:?}");
    }
    if let Some(via) = glance.via {
        assert!(within(via.branch) && !via.branch.contains(&b';'));
    }
    // A kernel that copies the bytes elsewhere, with others behind them, sees the same.
    let mut longer = seen.to_vec();
    longer.resize(WINDOW, b'x');
    if seen.len() == WINDOW {
        assert_eq!(Glance::at(&longer), Some(glance));
    }
}
