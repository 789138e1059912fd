//! Transactions, dialogs, attempts, registrations: SIP frames in, facts out.
