namespace Expecto

open FSharp.Core.LanguagePrimitives

/// How near two numbers must be: within `absolute + relative · the larger magnitude`.
type Accuracy<'abs, 'rel> = { absolute: 'abs; relative: 'rel }

/// Of doubles with a unit.
type Accuracy<[<Measure>] 'u> = Accuracy<float<'u>, float>
/// Of doubles.
type Accuracy = Accuracy<1>
/// Of single-precision numbers with a unit.
type Accuracy32<[<Measure>] 'u> = Accuracy<float32<'u>, float32>
/// Of single-precision numbers.
type Accuracy32 = Accuracy32<1>

/// Accuracies of doubles.
module Accuracy =
    /// The distance of two numbers.
    let inline areCloseLhs a b : ^a = abs (a - b)

    /// The distance that is allowed.
    let inline areCloseRhs (m: Accuracy<'a, _>) (a: 'a) (b: 'a) : 'a =
        m.absolute + m.relative * max (abs a) (abs b)

    /// Whether the distance is allowed.
    let inline areClose (m: Accuracy<'a, _>) (a: 'a) (b: 'a) : bool = areCloseLhs a b <= areCloseRhs m a b

    /// 1e-6 and 1e-3.
    let low<[<Measure>] 'u> : Accuracy<'u> =
        { absolute = FloatWithMeasure 1e-6
          relative = 1e-3 }

    /// 1e-8 and 1e-5.
    let medium<[<Measure>] 'u> : Accuracy<'u> =
        { absolute = FloatWithMeasure 1e-8
          relative = 1e-5 }

    /// 1e-10 and 1e-7.
    let high<[<Measure>] 'u> : Accuracy<'u> =
        { absolute = FloatWithMeasure 1e-10
          relative = 1e-7 }

    /// 1e-12 and 1e-9.
    let veryHigh<[<Measure>] 'u> : Accuracy<'u> =
        { absolute = FloatWithMeasure 1e-12
          relative = 1e-9 }

/// Accuracies of single-precision numbers.
module Accuracy32 =
    /// 1e-6 and 1e-3.
    let low<[<Measure>] 'u> : Accuracy32<'u> =
        { absolute = Float32WithMeasure 1e-6f
          relative = 1e-3f }

    /// 1e-8 and 1e-5.
    let medium<[<Measure>] 'u> : Accuracy32<'u> =
        { absolute = Float32WithMeasure 1e-8f
          relative = 1e-5f }

    /// 1e-10 and 1e-7.
    let high<[<Measure>] 'u> : Accuracy32<'u> =
        { absolute = Float32WithMeasure 1e-10f
          relative = 1e-7f }

    /// 1e-12 and 1e-9.
    let veryHigh<[<Measure>] 'u> : Accuracy32<'u> =
        { absolute = Float32WithMeasure 1e-12f
          relative = 1e-9f }
