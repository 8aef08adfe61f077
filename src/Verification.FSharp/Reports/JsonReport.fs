namespace LocalAttention.Verification

open System
open System.IO
open System.Text
open System.Text.Encodings.Web
open System.Text.Json
open LocalAttention.Core.Checkpoints

/// <summary>A report as JSON, for machines.</summary>
/// <remarks>
/// <para>An object: <c>subject</c>, <c>code</c>, <c>seed</c>, <c>sound</c> (whether no property failed) and
/// <c>findings</c>, an array.</para>
/// <para>A finding: <c>property</c>, <c>statement</c>, <c>outcome</c> (<c>holds</c>, <c>fails</c> or <c>skipped</c>),
/// <c>seconds</c>, <c>figures</c> (an array of <c>name</c> and <c>value</c>), and by the outcome <c>cases</c>,
/// <c>counterexample</c> or <c>reason</c>.</para>
/// <para>A counterexample: <c>code</c>, <c>again</c> (F# that asks the case again),
/// <c>seed</c>, <c>input</c> (sizes), <c>explanation</c>, <c>shrinks</c> and
/// <c>pictures</c> (an array of <c>title</c> and <c>rows</c>, rows of numbers).</para>
/// <para>What is not a finite number is the text <c>NaN</c>, <c>Infinity</c> or <c>-Infinity</c>.</para>
/// </remarks>
[<RequireQualifiedAccess>]
module JsonReport =
    let private number (writer: Utf8JsonWriter) (value: float) =
        if Double.IsFinite value then
            writer.WriteNumberValue value
        elif Double.IsNaN value then
            writer.WriteStringValue "NaN"
        else
            writer.WriteStringValue(if value > 0.0 then "Infinity" else "-Infinity")

    let private array (writer: Utf8JsonWriter) (name: string) (items: 'item seq) (write: 'item -> unit) =
        writer.WriteStartArray name
        Seq.iter write items
        writer.WriteEndArray()

    let private picture (writer: Utf8JsonWriter) (picture: Picture) =
        writer.WriteStartObject()
        writer.WriteString("title", picture.Title)

        array writer "rows" picture.Rows (fun row ->
            writer.WriteStartArray()
            Array.iter (number writer) row
            writer.WriteEndArray())

        writer.WriteEndObject()

    let private counterexample (writer: Utf8JsonWriter) (found: Counterexample) =
        writer.WriteStartObject "counterexample"
        writer.WriteString("code", found.Code)
        writer.WriteString("again", found.Again)
        writer.WriteNumber("seed", found.Seed)
        array writer "input" found.Input writer.WriteNumberValue
        writer.WriteString("explanation", found.Explanation)
        writer.WriteNumber("shrinks", found.Shrinks)
        array writer "pictures" found.Pictures (picture writer)
        writer.WriteEndObject()

    let private finding (writer: Utf8JsonWriter) (finding: Finding) =
        writer.WriteStartObject()
        writer.WriteString("property", finding.Property)
        writer.WriteString("statement", finding.Statement)

        match finding.Outcome with
        | Outcome.Holds cases ->
            writer.WriteString("outcome", "holds")
            writer.WriteNumber("cases", cases)
        | Outcome.Fails found ->
            writer.WriteString("outcome", "fails")
            counterexample writer found
        | Outcome.Skipped reason ->
            writer.WriteString("outcome", "skipped")
            writer.WriteString("reason", reason)

        array writer "figures" finding.Figures (fun (name, value) ->
            writer.WriteStartObject()
            writer.WriteString("name", name)
            writer.WritePropertyName "value"
            number writer value
            writer.WriteEndObject())

        writer.WritePropertyName "seconds"
        number writer finding.Elapsed.TotalSeconds
        writer.WriteEndObject()

    /// <summary>The report as a JSON object of several lines.</summary>
    [<CompiledName "Render">]
    let render (report: Report) : string =
        use bytes = new MemoryStream()

        // The text is not embedded in HTML as it is, so that arrows and accents can stay readable.
        let options =
            JsonWriterOptions(Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping)

        using (new Utf8JsonWriter(bytes, options)) (fun writer ->
            writer.WriteStartObject()
            writer.WriteString("subject", report.Subject)
            writer.WriteString("code", report.Code)
            writer.WriteNumber("seed", report.Seed)
            writer.WriteBoolean("sound", report.IsSound)
            array writer "findings" report.Findings (finding writer)
            writer.WriteEndObject())

        Encoding.UTF8.GetString(bytes.GetBuffer(), 0, int bytes.Length)

    /// <summary>Writes the report to a file: all of it, or nothing.</summary>
    /// <exception cref="T:LocalAttention.Core.Checkpoints.CheckpointException">The file cannot be written.</exception>
    [<CompiledName "Save">]
    let save (path: string) (report: Report) : unit =
        let bytes = UTF8Encoding(false).GetBytes(render report + "\n")
        AtomicFile.Write(path, bytes.LongLength, (fun stream -> stream.Write bytes))
