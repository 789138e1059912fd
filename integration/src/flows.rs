//! The call flows of the live tests and of the demonstration, as [`crate::sipp::scenario`] reads them.

use crate::sipp::scenario::Scenario;

/// Rings, is answered, the caller hangs up.
pub const ANSWERED: &str = "
         -> INVITE
         <- 100
         <- 180
    100  <- 200
         -> ACK
    300  -> BYE
         <- 200
";

/// The callee hangs up.
pub const CALLEE_HANGS_UP: &str = "
         -> INVITE
         <- 180
         <- 200
         -> ACK
    200  <- BYE
         -> 200
";

/// The caller gives up while it rings.
pub const CANCELLED: &str = "
         -> INVITE
         <- 180
    100  -> CANCEL
         <- 200
         <- 487
         -> ACK
";

/// Asked for credentials, then answered.
pub const CHALLENGED: &str = "
         -> INVITE
         <- 407
         -> ACK
         -> INVITE
         <- 180
         <- 200
         -> ACK
    100  -> BYE
         <- 200
";

/// Sent elsewhere, then answered.
pub const REDIRECTED: &str = "
         -> INVITE
         <- 302
         -> ACK
         -> INVITE
         <- 180
         <- 200
         -> ACK
    100  -> BYE
         <- 200
";

/// The session is changed once.
pub const REINVITED: &str = "
         -> INVITE
         <- 180
         <- 200
         -> ACK
    100  -> INVITE
         <- 200
         -> ACK
    100  -> BYE
         <- 200
";

/// A queue answers, and transfers its caller to somebody.
pub const TRANSFERRED: &str = "
         -> INVITE
         <- 180
         <- 200
         -> ACK
    300  <- REFER
         -> 202
    100  -> BYE
         <- 200
";

/// A queue says so, and its caller gives up.
pub const QUEUED: &str = "
         -> INVITE
         <- 182
    300  -> CANCEL
         <- 200
         <- 487
         -> ACK
";

/// Slow on both sides: the INVITE and the 200 are each sent more than once.
pub const RETRANSMITTED: &str = "
          -> INVITE
     700  <- 100
          <- 180
          <- 200
     800  -> ACK
          -> BYE
          <- 200
";

/// Nobody is there.
pub const UNANSWERED: &str = "
          -> INVITE
    2000  <- nothing
";

/// A phone registers.
pub const REGISTERED: &str = "
    -> REGISTER
    <- 200
";

/// A phone registers after a challenge.
pub const REGISTERED_AFTER_CHALLENGE: &str = "
    -> REGISTER
    <- 401
    -> REGISTER
    <- 200
";

/// A keep-alive.
pub const PINGED: &str = "
    -> OPTIONS
    <- 200
";

/// An INVITE refused with `status`.
pub fn refused(status: u16) -> Scenario {
    Scenario::new(&format!("-> INVITE\n<- 100\n<- 180\n<- {status}\n-> ACK"))
}

/// A call whose INVITE carries so many bytes more.
pub fn padded(bytes: usize) -> Scenario {
    Scenario::new(&ANSWERED.replace("INVITE", &format!("INVITE pad={bytes}")))
}
