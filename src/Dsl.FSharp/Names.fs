namespace LocalAttention.Dsl

open LocalAttention.Core

// The choices that words of the language take, under its own roof: a script needs to open nothing else to name them.

/// How offsets and queries are weighed in QnA's numerator.
type AttentionScale = Specification.AttentionScale

/// How QnA's scores depend on the offset in the window.
type PositionBias = Specification.PositionBias

/// What stands outside the map for Slide Attention.
type EdgePadding = Specification.EdgePadding

/// The order in which a joint projection lays out queries, keys and values.
type QkvOrder = Specification.QkvOrder

/// What an MLP does with neighbouring tokens.
type MlpConvolution = Specification.MlpConvolution

/// The path around the attention of a QnA block that makes maps smaller.
type SkipPath = Specification.SkipPath

/// What is done where a map is not a multiple of what divides it.
type SizePolicy = Specification.SizePolicy

/// Activations of MLPs and of stems.
type Activation = Specification.Activation

/// How weights start.
type Initialization = Specification.Initialization

/// Whose names parameters have in checkpoints.
type ParameterNaming = Specification.ParameterNaming
