//! What follows from how backends answer: weights, overload, who is down, whether steering itself is sound.
//!
//! Everything here is told once a second what was counted in that second, a *tick*, and never looks at a clock. Nothing here
//! moves a dialog: it decides where new ones go.

mod adoption;
mod anomaly;
mod delay;
mod health;
mod overload;
mod ticks;
mod weights;

pub use adoption::{Adoption, Ratio};
pub use anomaly::{Anomalies, Anomaly, Traffic};
pub use delay::Delays;
pub use health::{Backends, Heard, ProbeRule};
pub use overload::Overload;
pub use ticks::Sample;
pub use weights::{Change, FLOOR, Observed, Reason, WHOLE, Weights};
