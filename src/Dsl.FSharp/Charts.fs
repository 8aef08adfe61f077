namespace LocalAttention.Dsl

open System
open System.Globalization
open System.Xml.Linq
open LocalAttention.Core.Analysis
open LocalAttention.Core.Specification

/// What a model costs.
[<RequireQualifiedAccess>]
type Cost =
    /// Its parameters.
    | Parameters
    /// Multiply-accumulates of an image of its resolution, the two convolutions of each Slide layer merged, as papers count.
    | MultiplyAccumulates

/// A model in a plot of costs: what it costs by its declaration, and how accurate its paper says that it is.
type CostPoint =
    {
        /// The model.
        Name: string
        /// Parameters or multiply-accumulates.
        Cost: float
        /// Top-1 accuracy on ImageNet-1K in percent.
        Top1: float
    }

/// Accuracy against cost, family by family: a value, which <c>Chart.toSvg</c> draws.
type CostPlot =
    {
        /// What the horizontal axis is.
        Axis: Cost
        /// Each family's title with its models, cheapest first; families as they came, without those that have no point.
        Families: (string * CostPoint list) list
    }

/// <summary>Plots of what models cost and how accurate their papers say that they are.</summary>
/// <example><code lang="fsharp">Zoo.find "*swin*" |> Chart.costs Cost.MultiplyAccumulates |> Chart.save "cost.svg"</code></example>
[<RequireQualifiedAccess>]
module Chart =
    let private costOf (axis: Cost) (architecture: Architecture) =
        match axis with
        | Cost.Parameters -> float (ParameterCount.Of(architecture).All)
        | Cost.MultiplyAccumulates -> float (MultiplyAccumulates.Of(architecture, mergedShifts = true).Total)

    /// <summary>The models whose papers give an accuracy, against their costs.</summary>
    /// <example><code lang="fsharp">Chart.costs Cost.Parameters Zoo.all</code></example>
    let costs (axis: Cost) (entries: ZooEntry list) : CostPlot =
        { Axis = axis
          Families =
            [ for family, entries in entries |> List.groupBy _.Family do
                  let points =
                      [ for entry in entries do
                            if entry.Paper.Top1.HasValue then
                                { Name = entry.Name
                                  Cost = costOf axis entry.Architecture
                                  Top1 = entry.Paper.Top1.Value } ]

                  if not points.IsEmpty then
                      family.Title, points |> List.sortBy _.Cost ] }

    // ------------------------------------------------------------------------------------------ drawing

    let internal svg = XNamespace.Get "http://www.w3.org/2000/svg"

    /// Two decimals: finer than any screen.
    let internal coordinate (number: float) =
        (Math.Round(number, 2)).ToString("0.##", CultureInfo.InvariantCulture)

    /// What XML 1.0 has no character for is left out: a name must not make a file that nothing reads.
    let internal readable (text: string) =
        String.filter
            (fun letter -> not (Char.IsControl letter || Char.IsSurrogate letter || letter >= '\uFFFE'))
            text

    let internal element (name: string) (attributes: (string * string) list) (content: XObject list) =
        XElement(
            svg.GetName name,
            [| for name, value in attributes do
                   box (XAttribute(XName.Get name, value))
               for part in content do
                   box part |]
        )

    let internal label (x: float) (y: float) (attributes: (string * string) list) (text: string) =
        element "text" ([ "x", coordinate x; "y", coordinate y ] @ attributes) [ XText(readable text) ]

    let internal line (x1: float) (y1: float) (x2: float) (y2: float) (attributes: (string * string) list) =
        element
            "line"
            ([ "x1", coordinate x1
               "y1", coordinate y1
               "x2", coordinate x2
               "y2", coordinate y2 ]
             @ attributes)
            []

    /// Dark enough on white, and told apart by most eyes; families beyond their number have dashes.
    let private colours =
        [| "#0072B2"
           "#D55E00"
           "#009E73"
           "#AA3377"
           "#B8860B"
           "#56789A"
           "#882255"
           "#444444" |]

    /// 1, 2 and 5 times powers of ten, from the last at or below the least to the first at or above the most.
    let private logarithmicTicks (least: float) (most: float) =
        let candidates =
            [ for power in int (Math.Floor(Math.Log10 least)) - 1 .. int (Math.Ceiling(Math.Log10 most)) + 1 do
                  for digit in [ 1.0; 2.0; 5.0 ] -> digit * 10.0 ** float power ]

        let first = candidates |> List.filter (fun tick -> tick <= least) |> List.max
        let last = candidates |> List.filter (fun tick -> tick >= most) |> List.min
        candidates |> List.filter (fun tick -> tick >= first && tick <= last)

    /// Whole numbers in steps of 1, 2, 5 or more, so that there are eleven at most.
    let private linearTicks (least: float) (most: float) =
        let step =
            Seq.initInfinite (fun index -> [| 1.0; 2.0; 5.0 |][index % 3] * 10.0 ** float (index / 3))
            |> Seq.find (fun step -> (most - least) / step <= 9.0)

        let first, last = Math.Floor(least / step), Math.Ceiling(most / step)
        [ for tick in first .. max (first + 1.0) last -> tick * step ]

    let private costText (cost: float) =
        if cost >= 1e9 then $"{cost / 1e9:G4} G"
        elif cost >= 1e6 then $"{cost / 1e6:G4} M"
        elif cost >= 1e3 then $"{cost / 1e3:G4} K"
        else $"{cost:G4}"

    /// Heights of labels that wish for some, in their order, none nearer than a line to the one above, all above the floor.
    let private apart (distance: float) (floor: float) (wishes: float list) =
        let down =
            wishes
            |> List.scan (fun above wish -> max wish (above + distance)) Double.NegativeInfinity
            |> List.tail

        List.foldBack
            (fun height (below, placed) ->
                let height = min height (below - distance)
                height, height :: placed)
            down
            (floor + distance, [])
        |> snd

    let private width, private height = 960.0, 600.0

    let private left, private right, private top, private bottom =
        76.0, 740.0, 64.0, 528.0

    let private lineHeight = 18.0

    /// <summary>The plot as SVG: well-formed, and with nothing outside it.</summary>
    /// <example><code lang="fsharp">Chart.costs Cost.Parameters Zoo.all |> Chart.toSvg</code></example>
    let toSvg (plot: CostPlot) : string =
        let points = plot.Families |> List.collect snd

        let all value whenNone =
            if points.IsEmpty then whenNone else List.map value points

        let xTicks =
            let costs = all (fun point -> max 1.0 point.Cost) [ 1e6; 1e8 ]
            logarithmicTicks (List.min costs) (List.max costs * 1.000001)

        let yTicks =
            let accuracies = all _.Top1 [ 70.0; 80.0 ]
            linearTicks (List.min accuracies) (List.max accuracies)

        let x (cost: float) =
            let first, last = Math.Log10(List.head xTicks), Math.Log10(List.last xTicks)
            left + (Math.Log10(max 1.0 cost) - first) / (last - first) * (right - left)

        let y (top1: float) =
            let first, last = List.head yTicks, List.last yTicks
            bottom - (top1 - first) / (last - first) * (bottom - top)

        let costName =
            match plot.Axis with
            | Cost.Parameters -> "parameters"
            | Cost.MultiplyAccumulates -> "multiply-accumulates of one image"

        let title = $"Accuracy against {costName}"

        let grid =
            [ for tick in xTicks do
                  line (x tick) top (x tick) bottom [ "stroke", "#E4E4E4" ]
                  label (x tick) (bottom + 20.0) [ "text-anchor", "middle" ] (costText tick)
              for tick in yTicks do
                  line left (y tick) right (y tick) [ "stroke", "#E4E4E4" ]
                  label (left - 8.0) (y tick + 4.5) [ "text-anchor", "end" ] (coordinate tick)
              line left top left bottom [ "stroke", "#444444" ]
              line left bottom right bottom [ "stroke", "#444444" ] ]

        let styled =
            plot.Families
            |> List.mapi (fun index (family, points) ->
                let dashes =
                    match index / colours.Length with
                    | 0 -> []
                    | round -> [ "stroke-dasharray", $"{2 + 4 * round} 3" ]

                family, points, colours[index % colours.Length], dashes)

        let series =
            [ for family, points, colour, dashes in styled do
                  let path =
                      points
                      |> List.map (fun point -> $"{coordinate (x point.Cost)},{coordinate (y point.Top1)}")
                      |> String.concat " "

                  element
                      "g"
                      [ "stroke", colour; "fill", colour ]
                      [ element "title" [] [ XText(readable family) ]
                        element
                            "polyline"
                            ([ "points", path; "fill", "none"; "stroke-width", "1.8" ] @ dashes)
                            []
                        for point in points do
                            element
                                "circle"
                                [ "cx", coordinate (x point.Cost)
                                  "cy", coordinate (y point.Top1)
                                  "r", "4"
                                  "stroke", "#FFFFFF" ]
                                [ element
                                      "title"
                                      []
                                      [ XText(readable $"{point.Name}: {costText point.Cost}, {point.Top1}%%") ] ] ] ]

        let labels =
            let byHeight =
                styled
                |> List.filter (fun (_, points, _, _) -> not points.IsEmpty)
                |> List.sortBy (fun (_, points, _, _) -> y (List.last points).Top1)

            let heights =
                byHeight
                |> List.map (fun (_, points, _, _) -> y (List.last points).Top1)
                |> apart lineHeight (height - 12.0)

            [ for (family, points, colour, dashes), labelled in List.zip byHeight heights do
                  let last = List.last points

                  line
                      (x last.Cost + 5.0)
                      (y last.Top1)
                      (right + 20.0)
                      labelled
                      [ "stroke", colour; "stroke-width", "0.6"; "stroke-opacity", "0.6" ]

                  line
                      (right + 22.0)
                      labelled
                      (right + 46.0)
                      labelled
                      ([ "stroke", colour; "stroke-width", "2.4" ] @ dashes)

                  label (right + 52.0) (labelled + 4.5) [ "fill", colour; "font-weight", "600" ] family ]

        let whole =
            element
                "svg"
                [ "viewBox", $"0 0 {coordinate width} {coordinate height}"
                  "width", coordinate width
                  "height", coordinate height
                  "role", "img"
                  "font-family", "sans-serif"
                  "font-size", "13"
                  "fill", "#222222" ]
                [ element "title" [] [ XText title ]
                  element
                      "desc"
                      []
                      [ XText
                            $"{points.Length} models of {plot.Families.Length} families. Costs are computed from the declarations; accuracies are those of the papers." ]
                  element
                      "rect"
                      [ "width", coordinate width; "height", coordinate height; "fill", "#FFFFFF" ]
                      []
                  label left 30.0 [ "font-size", "17"; "font-weight", "600" ] title
                  label
                      left
                      49.0
                      [ "fill", "#666666" ]
                      "costs as computed from the declarations, accuracies as published"
                  for part in grid do
                      part
                  label
                      ((left + right) / 2.0)
                      (bottom + 46.0)
                      [ "text-anchor", "middle" ]
                      $"{costName}, logarithmic"
                  label
                      0.0
                      0.0
                      [ "transform", $"translate(24 {coordinate ((top + bottom) / 2.0)}) rotate(-90)"
                        "text-anchor", "middle" ]
                      "top-1 accuracy on ImageNet-1K, %"
                  for part in labels do
                      part
                  for part in series do
                      part ]

        whole.ToString() + "\n"

    /// <summary>Writes the plot as SVG; the file appears whole or not at all.</summary>
    /// <example><code lang="fsharp">Zoo.all |> Chart.costs Cost.Parameters |> Chart.save "docs/parameters.svg"</code></example>
    let save (path: string) (plot: CostPlot) : unit = Files.write path (toSvg plot)
