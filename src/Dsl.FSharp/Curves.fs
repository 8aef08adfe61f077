namespace LocalAttention.Dsl

open System
open System.Globalization
open System.Xml.Linq
open LocalAttention.Core.Training

/// <summary>Pictures of trainings: loss and accuracy, epoch by epoch.</summary>
/// <example><code lang="fsharp">(model |> train recipe examples).Epochs |> Curves.save "first try" "curves.svg"</code></example>
[<RequireQualifiedAccess>]
module Curves =
    type private Panel =
        {
            Title: string
            Text: float -> string
            /// Each curve's name, colour and points.
            Curves: (string * string * (float * float) list) list
        }

    let private width, private height = 960.0, 400.0
    let private top, private bottom = 84.0, 344.0

    let private learned, private tested = "#0072B2", "#D55E00"

    /// Steps of 1, 2 or 5 times a power of ten, so that there are seven ticks at most.
    let private ticks (least: float) (most: float) =
        let range = max (most - least) (1e-6 * max 1.0 (abs most))

        let step =
            Seq.initInfinite (fun index ->
                [| 1.0; 2.0; 5.0 |][index % 3]
                * 10.0 ** (Math.Floor(Math.Log10 range) - 1.0 + float (index / 3)))
            |> Seq.find (fun step -> range / step <= 5.0)

        let first = Math.Floor(least / step)
        [ for index in 0 .. int (Math.Ceiling(most / step) - first) |> max 1 -> (first + float index) * step ]

    let private panels (epochs: EpochResult list) =
        let curve (name: string) (colour: string) (value: EpochResult -> float option) =
            let points =
                [ for epoch in epochs do
                      match value epoch with
                      | Some number when Double.IsFinite number -> float epoch.Epoch, number
                      | _ -> () ]

            name, colour, points

        let test (value: EvaluationResult -> float) (epoch: EpochResult) =
            if epoch.Evaluation.HasValue then
                Some(value epoch.Evaluation.Value)
            else
                None

        [ { Title = "loss"
            Text = fun tick -> tick.ToString("0.####", CultureInfo.InvariantCulture)
            Curves =
              [ curve "training" learned (fun epoch -> Some epoch.Loss)
                curve "test" tested (test _.Loss) ] }
          { Title = "accuracy, %"
            Text = fun tick -> tick.ToString("0.##", CultureInfo.InvariantCulture)
            Curves =
              [ curve "training" learned (fun epoch -> Some(100.0 * epoch.Accuracy))
                curve "test" tested (test (fun result -> 100.0 * result.Accuracy)) ] } ]

    let private draw (left: float) (right: float) (last: int) (panel: Panel) : XElement list =
        let values =
            panel.Curves |> List.collect (fun (_, _, points) -> List.map snd points)

        let rows =
            match values with
            | [] -> [ 0.0; 1.0 ]
            | _ -> ticks (List.min values) (List.max values)

        let lowest, highest = List.head rows, List.last rows

        let x (epoch: float) =
            left + (epoch - 1.0) / float (max 1 (last - 1)) * (right - left)

        let y (value: float) =
            bottom - (value - lowest) / (highest - lowest) * (bottom - top)

        let columns = List.distinct [ 1; (last + 1) / 2; max 1 last ]

        [ Chart.label left (top - 14.0) [ "font-weight", "600" ] panel.Title
          for tick in rows do
              Chart.line left (y tick) right (y tick) [ "stroke", "#E4E4E4" ]
              Chart.label (left - 8.0) (y tick + 4.5) [ "text-anchor", "end" ] (panel.Text tick)
          for tick in columns do
              Chart.label (x (float tick)) (bottom + 20.0) [ "text-anchor", "middle" ] (string tick)
          Chart.label ((left + right) / 2.0) (bottom + 40.0) [ "text-anchor", "middle" ] "epoch"
          for name, colour, points in panel.Curves do
              if not points.IsEmpty then
                  let path =
                      points
                      |> List.map (fun (epoch, value) ->
                          $"{Chart.coordinate (x epoch)},{Chart.coordinate (y value)}")
                      |> String.concat " "

                  Chart.element
                      "g"
                      [ "stroke", colour; "fill", colour ]
                      [ Chart.element "title" [] [ XText $"{panel.Title}, {name}" ]
                        Chart.element "polyline" [ "points", path; "fill", "none"; "stroke-width", "2" ] []
                        for epoch, value in points do
                            Chart.element
                                "circle"
                                [ "cx", Chart.coordinate (x epoch)
                                  "cy", Chart.coordinate (y value)
                                  "r", "2.5" ]
                                [ Chart.element "title" [] [ XText $"epoch {int epoch}: {panel.Text value}" ] ] ] ]

    /// <summary>Loss and accuracy as SVG: of the images learned from as they were seen, augmented, and of the test images.</summary>
    /// <param name="title">What was trained.</param>
    /// <param name="epochs">The epochs that ended; there may be none.</param>
    let toSvg (title: string) (epochs: EpochResult seq) : string =
        let epochs = List.ofSeq epochs
        let last = epochs |> List.map _.Epoch |> List.fold max 1

        let key (at: float) (colour: string) (name: string) =
            [ Chart.line at 38.0 (at + 24.0) 38.0 [ "stroke", colour; "stroke-width", "2.4" ]
              Chart.label (at + 30.0) 42.5 [] name ]

        let whole =
            Chart.element
                "svg"
                [ "viewBox", $"0 0 {Chart.coordinate width} {Chart.coordinate height}"
                  "width", Chart.coordinate width
                  "height", Chart.coordinate height
                  "role", "img"
                  "font-family", "sans-serif"
                  "font-size", "13"
                  "fill", "#222222" ]
                [ Chart.element "title" [] [ XText(Chart.readable title) ]
                  Chart.element
                      "rect"
                      [ "width", Chart.coordinate width
                        "height", Chart.coordinate height
                        "fill", "#FFFFFF" ]
                      []
                  Chart.label 64.0 24.0 [ "font-size", "17"; "font-weight", "600" ] title
                  for part in key 64.0 learned "training" @ key 170.0 tested "test" do
                      part
                  for panel, (left, right) in List.zip (panels epochs) [ 64.0, 456.0; 544.0, 936.0 ] do
                      for part in draw left right last panel do
                          part ]

        whole.ToString() + "\n"

    /// <summary>Writes the curves as SVG; the file appears whole or not at all.</summary>
    /// <example><code lang="fsharp">result.Epochs |> Curves.save "first try" "curves.svg"</code></example>
    let save (title: string) (path: string) (epochs: EpochResult seq) : unit =
        Files.write path (toSvg title epochs)
