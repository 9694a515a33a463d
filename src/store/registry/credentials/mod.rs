//! Who we are to a registry: credentials, where they are kept, and how they are found.
