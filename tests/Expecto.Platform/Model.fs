namespace Expecto

open System
open System.Threading

/// What a property run has done: handed to `FsCheckConfig.finishedTest`.
type FsCheckTestData =
    { Labels: Set<string>
      NumberOfShrinks: int
      NumberOfTests: int
      Stamps: seq<int * list<string>> }

/// How FsCheck runs one property.
type FsCheckConfig =
    {
        /// The number of cases that are tried.
        maxTest: int
        /// The size of the first case.
        startSize: int
        /// The size of the last case; sizes grow linearly in between.
        endSize: int
        /// Seed, gamma and size of a run to repeat, as a failing property prints them.
        replay: (uint64 * uint64 * int option) option
        /// Types whose static members provide `Arbitrary` instances; earlier types override later ones.
        arbitrary: Type list
        /// Called with the test's name, the number of the case and its arguments, before each case.
        receivedArgs: FsCheckConfig -> string -> int -> obj list -> Async<unit>
        /// Called with the test's name and the smaller arguments after each successful shrink.
        successfulShrink: FsCheckConfig -> string -> obj list -> Async<unit>
        /// Called with the test's name and its data when the property is done.
        finishedTest: FsCheckConfig -> string -> FsCheckTestData -> Async<unit>
    }

    /// 200 cases of size 1 to 100, no replay, FsCheck's own instances.
    static member defaultConfig =
        { maxTest = 200
          startSize = 1
          endSize = 100
          replay = None
          arbitrary = []
          receivedArgs = fun _ _ _ _ -> async.Return()
          successfulShrink = fun _ _ _ -> async.Return()
          finishedTest = fun _ _ _ -> async.Return() }

/// What runs when a test case runs.
type TestCode =
    /// A function.
    | Sync of stest: (unit -> unit)
    /// A function that is told when the run is cancelled.
    | SyncWithCancel of stest: (CancellationToken -> unit)
    /// An asynchronous computation.
    | Async of atest: Async<unit>
    /// A property: its own configurations for ordinary and for stress runs, and the run itself.
    | AsyncFsCheck of
        testConfig: FsCheckConfig option *
        stressConfig: FsCheckConfig option *
        test: (FsCheckConfig -> Async<unit>)

/// Whether a test runs: pending tests never do; once any test is focused, only focused ones do.
type FocusState =
    | Normal
    | Pending
    | Focused

/// How a test runs beside others when the run is parallel.
type SequenceMethod =
    /// Alone, after all parallel tests.
    | Synchronous
    /// One after the other within the named group.
    | SynchronousGroup of string
    /// Beside any other test.
    | InParallel

/// A tree of tests: a test is a value.
type Test =
    | TestCase of code: TestCode * state: FocusState
    | TestList of tests: Test list * state: FocusState
    | TestLabel of label: string * test: Test * state: FocusState
    | Sequenced of SequenceMethod * Test

/// The root of the exceptions by which a test ends early.
type ExpectoException(msg: string) =
    inherit Exception(msg)

/// An expectation did not hold.
type AssertException(msg: string) =
    inherit ExpectoException(msg)

/// The test failed, and its stack trace would say nothing.
type FailedException(msg: string) =
    inherit ExpectoException(msg)

/// The test asks to be skipped.
type IgnoreException(msg: string) =
    inherit ExpectoException(msg)

/// A tests value could not be read while an assembly was searched.
type TestDiscoveryException(msg: string) =
    inherit ExpectoException(msg)

/// A tests value was null while an assembly was searched, usually because its module was not yet initialised.
type NullTestDiscoveryException(msg: string) =
    inherit TestDiscoveryException(msg)

/// Marks a value of type `Test` that `runTestsInAssemblyWithCLIArgs` finds.
[<AttributeUsage(AttributeTargets.Method ||| AttributeTargets.Property ||| AttributeTargets.Field)>]
type TestsAttribute() =
    inherit Attribute()

/// As `Tests`, pending.
[<AttributeUsage(AttributeTargets.Method ||| AttributeTargets.Property ||| AttributeTargets.Field)>]
type PTestsAttribute() =
    inherit Attribute()

/// As `Tests`, focused.
[<AttributeUsage(AttributeTargets.Method ||| AttributeTargets.Property ||| AttributeTargets.Field)>]
type FTestsAttribute() =
    inherit Attribute()
