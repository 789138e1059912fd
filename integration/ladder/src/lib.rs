//! Text ladders: call flows written as text, made into SIP bytes.
