/// What a test may expect of its values; each function fails the test with the message when it does not hold.
module Expecto.Expect

open System
open System.Text.RegularExpressions

let private firstDifference (actual: seq<'a>) (expected: seq<'a>) =
    let endless items =
        Seq.append (Seq.map Some items) (Seq.initInfinite (fun _ -> None))

    Seq.zip (endless actual) (endless expected)
    |> Seq.indexed
    |> Seq.find (fun (_, (a, e)) -> a.IsNone || e.IsNone || a <> e)

let private show (value: 'a) =
    match box value with
    | :? string as text -> text
    | :? float as number -> number.ToString "R"
    | :? float32 as number -> number.ToString "R"
    | _ -> sprintf "%A" value

let private verses (actual: 'a) (expected: 'a) =
    $"\nexpected: {show expected}\n  actual: {show actual}"

let private thrownBy f =
    try
        f ()
        None
    with failure ->
        Some failure

/// `f` throws.
let throws f message =
    if (thrownBy f).IsNone then
        failtestf "%s. Expected f to throw." message

/// `f` throws, and the exception is handed to `cont`.
let throwsC f cont =
    match thrownBy f with
    | Some failure -> cont failure
    | None -> failtest "Expected f to throw."

let private checkThrown (wanted: Type) (thrown: exn option) message =
    match thrown with
    | None -> failtestf "%s. Expected f to throw." message
    | Some failure when failure.GetType() <> wanted ->
        failtestf
            "%s. Expected f to throw an exn of type %s, but one of type %s was thrown: %s"
            message
            wanted.FullName
            (failure.GetType().FullName)
            failure.Message
    | Some _ -> ()

/// `f` throws an exception of exactly this type.
[<RequiresExplicitTypeArguments>]
let throwsT<'texn when 'texn :> exn> f message =
    checkThrown typeof<'texn> (thrownBy f) message

let private thrownByAsync (f: unit -> Async<unit>) =
    async {
        try
            do! f ()
            return None
        with failure ->
            return Some failure
    }

/// `f` throws when it runs.
let throwsAsync f message =
    async {
        let! thrown = thrownByAsync f

        if thrown.IsNone then
            failtestf "%s. Expected f to throw." message
    }

/// `f` throws when it runs, and the exception is handed to `cont`.
let throwsAsyncC f (cont: exn -> Async<unit>) =
    async {
        match! thrownByAsync f with
        | Some failure -> do! cont failure
        | None -> failtest "Expected f to throw."
    }

/// `f` throws an exception of exactly this type when it runs.
[<RequiresExplicitTypeArguments>]
let throwsAsyncT<'texn when 'texn :> exn> f message =
    async {
        let! thrown = thrownByAsync f
        checkThrown typeof<'texn> thrown message
    }

/// The value is `None`.
let isNone x message =
    match x with
    | None -> ()
    | Some x -> failtestf "%s. Expected None, was Some(%A)." message x

/// The value of a `Some`.
let wantSome x message =
    match x with
    | None -> failtestf "%s. Expected Some _, was None." message
    | Some x -> x

/// The value is a `Some`.
let isSome x message = wantSome x message |> ignore

/// The value of an `Ok`.
let wantOk x message =
    match x with
    | Ok x -> x
    | Error x -> failtestf "%s. Expected Ok, was Error(%A)." message x

/// The value is an `Ok`.
let isOk x message = wantOk x message |> ignore

/// The value of an `Error`.
let wantError x message =
    match x with
    | Ok x -> failtestf "%s. Expected Error, was Ok(%A)." message x
    | Error x -> x

/// The value is an `Error`.
let isError x message = wantError x message |> ignore

/// The reference is not null.
let isNotNull x message =
    match x with
    | null -> failtest message
    | _ -> ()

/// The reference is null.
let isNull x message =
    match x with
    | null -> ()
    | x -> failtestf "%s. Expected null, but was %A." message x

/// `a < b`.
let isLessThan a b message =
    if a >= b then
        failtestf "%s. Expected a (%A) to be less than b (%A)." message a b

/// `a <= b`.
let isLessThanOrEqual a b message =
    if a > b then
        failtestf "%s. Expected a (%A) to be less than or equal to b (%A)." message a b

/// `a > b`.
let isGreaterThan a b message =
    if not (a > b) then
        failtestf "%s. Expected a (%A) to be greater than b (%A)." message a b

/// `a >= b`.
let isGreaterThanOrEqual a b message =
    if not (a >= b) then
        failtestf "%s. Expected a (%A) to be greater than or equal to b (%A)." message a b

/// The numbers are finite and as near as the accuracy says.
let floatClose (accuracy: Accuracy<'u>) (actual: float<'u>) (expected: float<'u>) (message: string) : unit =
    if Double.IsInfinity(float actual) || Double.IsInfinity(float expected) then
        failtestf "%s. Expected finite numbers, but actual=%.20g expected=%.20g." message actual expected
    elif not (Accuracy.areClose accuracy actual expected) then
        failtestf
            "%s. Expected difference to be less than %.20g for accuracy {absolute=%.20g; relative=%.20g}, but was %.20g. actual=%.20g expected=%.20g"
            message
            (Accuracy.areCloseRhs accuracy actual expected)
            accuracy.absolute
            accuracy.relative
            (Accuracy.areCloseLhs actual expected)
            actual
            expected

/// As `floatClose`, in single precision.
let float32Close (accuracy: Accuracy32<'u>) (actual: float32<'u>) (expected: float32<'u>) message =
    if Single.IsInfinity(float32 actual) || Single.IsInfinity(float32 expected) then
        failtestf "%s. Expected finite numbers, but actual=%.20g expected=%.20g." message actual expected
    elif not (Accuracy.areClose accuracy actual expected) then
        failtestf
            "%s. Expected difference to be less than %.20g for accuracy {absolute=%.20g; relative=%.20g}, but was %.20g. actual=%.20g expected=%.20g"
            message
            (Accuracy.areCloseRhs accuracy actual expected)
            accuracy.absolute
            accuracy.relative
            (Accuracy.areCloseLhs actual expected)
            actual
            expected

/// `actual` is less, or near.
let floatLessThanOrClose accuracy actual expected message =
    if actual > expected then
        floatClose accuracy actual expected message

/// `actual` is greater, or near.
let floatGreaterThanOrClose accuracy actual expected message =
    if actual < expected then
        floatClose accuracy actual expected message

/// The number is not a number.
let isNaN (f: float<'u>) message =
    if not (Double.IsNaN(float f)) then
        failtestf "%s. Float should be a NaN (not a number) value." message

/// The number is a number.
let isNotNaN (f: float<'u>) message =
    if Double.IsNaN(float f) then
        failtestf "%s. Float was the NaN (not a number) value." message

/// The number is not infinite.
let isNotInfinity (actual: float<'u>) message =
    if Double.IsInfinity(float actual) then
        failtestf "%s. Float was infinity." message

/// The text is neither null nor empty.
let isNotEmpty (actual: string) message =
    isNotNull actual message

    if actual.Length = 0 then
        failtestf "%s. Should not be empty." message

/// The sequence is empty.
let isEmpty actual message =
    if not (Seq.isEmpty actual) then
        failtestf "%s. Should be empty, but begins with %A." message (Seq.head actual)

/// The sequence is not empty.
let isNonEmpty actual message =
    if Seq.isEmpty actual then
        failtestf "%s. Should not be empty." message

/// The values are equal.
let equal (actual: 'a) (expected: 'a) message =
    if actual <> expected then
        match box actual, box expected with
        | (:? string as a), (:? string as e) ->
            let position, _ = firstDifference a e
            failtestf "%s. String does not match at position %i.%s" message position (verses actual expected)
        | _ -> failtestf "%s.%s" message (verses actual expected)

/// The values are not equal.
let notEqual (actual: 'a) (expected: 'a) message =
    if expected = actual then
        failtestf "%s. Actual value was equal to %A but had expected them to be non-equal." message actual

/// The pattern is found in the text.
let isMatch (actual: string) (pattern: string) message =
    if not (Regex.IsMatch(actual, pattern)) then
        failtestf "%s. Expected %s to match pattern: /%s/" message actual pattern

/// The pattern is not found in the text.
let isNotMatch (actual: string) (pattern: string) message =
    if Regex.IsMatch(actual, pattern) then
        failtestf "%s. Expected %s not to match pattern: /%s/" message actual pattern

/// The expression is found in the text.
let isRegexMatch (actual: string) (regex: Regex) message =
    if not (regex.IsMatch actual) then
        failtestf "%s. Expected %s to match regex: /%O/" message actual regex

/// The value is false.
let isFalse actual message =
    if actual then
        failtestf "%s. Actual value was true but had expected it to be false." message

/// The value is true.
let isTrue actual message =
    if not actual then
        failtestf "%s. Actual value was false but had expected it to be true." message

/// Some element satisfies the predicate.
let exists (actual: 'a seq) asserter message =
    if Object.ReferenceEquals(actual, null) || not (Seq.exists asserter actual) then
        failtestf "%s. There isn't any element which satisfies the given assertion." message

let private checkEach (actual: 'a seq) holds what message =
    if Object.ReferenceEquals(actual, null) then
        failtestf "%s. Sequence is null" message

    let wrong =
        actual
        |> Seq.indexed
        |> Seq.filter (snd >> holds >> not)
        |> Seq.truncate 10
        |> List.ofSeq

    if not wrong.IsEmpty then
        wrong
        |> List.map (fun (index, item) -> sprintf "Element at index: %d which is equal to: %A" index item)
        |> String.concat "\n"
        |> failtestf "%s. Some elements don't %s.\n%s" message what

/// Every element satisfies the predicate.
let all (actual: 'a seq) asserter message =
    checkEach actual asserter "satisfy `asserter`" message

/// Every element equals the value.
let allEqual (actual: 'a seq) equalTo message =
    checkEach actual ((=) equalTo) (sprintf "equal %A" equalTo) message

/// The sequence contains the element.
let contains sequence element message =
    if not (Seq.contains element sequence) then
        failtestf "%s. Sequence did not contain %A." message element

/// Every element of `expected` is in `actual`, in any order.
let containsAll (actual: _ seq) (expected: _ seq) message =
    let actual, expected = List.ofSeq actual, List.ofSeq expected

    let missing =
        expected |> List.filter (fun element -> not (List.contains element actual))

    if not missing.IsEmpty then
        failtestf
            "%s. Sequence `actual` does not contain all `expected` elements.\nmissing: %A\nactual: %A"
            message
            missing
            actual

/// The sequences have equal elements in the same order.
let sequenceEqual actual expected message =
    match firstDifference actual expected with
    | _, (None, None) -> ()
    | i, (Some a, Some e) ->
        failtestf "%s. Sequence does not match at position %i. Expected item: %A, but got %A." message i e a
    | i, (None, Some e) ->
        failtestf "%s. Sequence actual shorter than expected, at pos %i for expected item %A." message i e
    | i, (Some a, None) ->
        failtestf "%s. Sequence actual longer than expected, at pos %i found item %A." message i a

/// The sequence begins with the elements of `prefix`.
let sequenceStarts subject prefix message =
    match firstDifference subject prefix with
    | _, (_, None) -> ()
    | i, (Some s, Some p) ->
        failtestf "%s. Sequence does not match at position %i. Expected: %A, but got %A." message i p s
    | i, (None, Some p) ->
        failtestf "%s. Sequence actual shorter than expected, at pos %i for expected item %A." message i p

/// No element is less than the one before.
let isAscending (subject: _ seq) message =
    if subject |> Seq.pairwise |> Seq.exists (fun (a, b) -> b < a) then
        failtestf "%s. Sequence is not ascending" message

/// No element is greater than the one before.
let isDescending (subject: _ seq) message =
    if subject |> Seq.pairwise |> Seq.exists (fun (a, b) -> b > a) then
        failtestf "%s. Sequence is not descending" message

/// The text contains the substring.
let stringContains (subject: string) (substring: string) message =
    if not (subject.Contains(substring, StringComparison.Ordinal)) then
        failtestf "%s. Expected subject string '%s' to contain substring '%s'." message subject substring

/// The text starts with the prefix.
let stringStarts (subject: string) (prefix: string) message =
    if not (subject.StartsWith(prefix, StringComparison.Ordinal)) then
        failtestf "%s. Expected subject string '%s' to start with '%s'." message subject prefix

/// The text ends with the suffix.
let stringEnds (subject: string) (suffix: string) message =
    if not (subject.EndsWith(suffix, StringComparison.Ordinal)) then
        failtestf "%s. Expected subject string '%s' to end with '%s'." message subject suffix

/// The text has this length.
let stringHasLength (subject: string) (length: int) message =
    if subject.Length <> length then
        failtestf "%s. Expected subject string '%s' to have length '%d'." message subject length

/// The sequence has this length.
let hasLength (seq: 'a seq) expectedLength message =
    let actualLength = Seq.length seq

    if actualLength <> expectedLength then
        failtestf
            "%s. Expected list to have length %d, but length was %d. Seq:\n%A"
            message
            expectedLength
            actualLength
            seq
