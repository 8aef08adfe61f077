namespace LocalAttention.Verification

/// How hard to look.
type Settings =
    {
        /// Random cases of each property.
        Cases: int
        /// The seed that all of them follow from.
        Seed: int64
        /// Steps of shrinking at most.
        Shrinks: int
    }

/// A question to any subject.
type Property =
    {
        /// One word or two: `batch independence`.
        Name: string
        /// What it says, as a sentence.
        Statement: string
        /// Asks it.
        Ask: Settings -> Subject -> Finding
    }
