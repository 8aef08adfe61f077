namespace Expecto

/// A test case taken out of its tree, with what its ancestors decided for it.
[<ReferenceEquality>]
type FlatTest =
    { name: string list
      test: TestCode
      state: FocusState
      focusOn: bool
      sequenced: SequenceMethod }

    /// The reason why the case does not run, if it does not.
    member x.shouldSkipEvaluation =
        match x.focusOn, x.state with
        | _, Pending -> Some "The test or one of its parents is marked as Pending"
        | true, Normal -> Some "The test is skipped because other tests are Focused"
        | _ -> None

    /// The labels from the root down, joined.
    member x.fullName(joinWith: string) = String.concat joinWith x.name

/// Questions to, and changes of, trees of tests.
[<CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module Test =
    /// The state of a child under a parent: pending wins, then focused, then what the child says.
    let computeChildFocusState parentState childState =
        match parentState, childState with
        | Pending, _
        | Focused, Pending -> Pending
        | Focused, _ -> Focused
        | Normal, own -> own

    /// Whether any test outside pending branches is focused.
    let rec isFocused test =
        match test with
        | TestCase(_, state) -> state = Focused
        | TestLabel(_, _, Pending)
        | TestList(_, Pending) -> false
        | TestLabel(_, _, Focused)
        | TestList(_, Focused) -> true
        | TestLabel(_, inner, Normal)
        | Sequenced(_, inner) -> isFocused inner
        | TestList(tests, Normal) -> List.exists isFocused tests

    /// The cases of a tree in the order in which they are written.
    let toTestCodeList test =
        let focusOn = isFocused test

        let rec flatten name state sequenced test =
            match test with
            | TestLabel(label, inner, own) ->
                flatten (name @ [ label ]) (computeChildFocusState state own) sequenced inner
            | TestList(tests, own) ->
                List.collect (flatten name (computeChildFocusState state own) sequenced) tests
            | Sequenced(own, inner) -> flatten name state own inner
            | TestCase(code, own) ->
                [ { name = name
                    test = code
                    state = computeChildFocusState state own
                    focusOn = focusOn
                    sequenced = sequenced } ]

        flatten [] Normal InParallel test

    /// A list of cases whose single label is the joined name.
    let fromFlatTests (joinWith: string) (tests: FlatTest list) =
        let rebuild (flat: FlatTest) =
            let sequenced = Sequenced(flat.sequenced, TestCase(flat.test, flat.state))
            TestLabel(flat.fullName joinWith, sequenced, flat.state)

        TestList(List.map rebuild tests, Normal)

    /// The cases whose list of labels satisfies the predicate; their names are joined with `joiner`.
    let filter (joiner: string) (pred: string list -> bool) (test: Test) =
        toTestCodeList test
        |> List.filter (fun flat -> pred flat.name)
        |> fromFlatTests joiner
