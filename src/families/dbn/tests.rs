//! What is particular to deep belief networks.
