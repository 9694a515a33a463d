//! What headers say: pure functions from text to data.
