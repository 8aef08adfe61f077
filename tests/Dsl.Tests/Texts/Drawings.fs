/// Plots of costs: well-formed, whole, legible.
module LocalAttention.Dsl.Tests.Drawings

open System
open System.Globalization
open System.IO
open System.Xml.Linq
open Expecto
open FsCheck
open FsCheck.FSharp
open LocalAttention.Core.Backbones
open LocalAttention.Dsl

let private svg = XNamespace.Get "http://www.w3.org/2000/svg"

let private all (name: string) (drawing: XElement) =
    List.ofSeq (drawing.Descendants(svg.GetName name))

let private attribute (name: string) (element: XElement) =
    match element.Attribute(XName.Get name) with
    | null -> failtest $"{element} has no {name}"
    | found -> found.Value

let private number name element =
    Double.Parse(attribute name element, CultureInfo.InvariantCulture)

let private drawn (plot: CostPlot) =
    match XDocument.Parse(Chart.toSvg plot).Root with
    | null -> failtest "no root"
    | root -> root

let private axes = [ Cost.Parameters; Cost.MultiplyAccumulates ]

/// Any plot, its names of any characters.
let private plots =
    let point =
        gen {
            let! letters = Gen.listOf (Gen.choose (0, 0xFFFF))
            let! exponent = Gen.choose (0, 130)
            let! top1 = Gen.choose (0, 1000)

            return
                { Name = String [| for letter in letters -> char letter |]
                  Cost = 10.0 ** (float exponent / 10.0)
                  Top1 = float top1 / 10.0 }
        }

    let family =
        Gen.zip (Gen.elements [ "a"; "<b> & 'c'"; "\u0001\uD800"; "" ]) (Gen.nonEmptyListOf point)

    Arb.fromGen (
        Gen.map2
            (fun axis families ->
                { Axis = axis
                  Families = families |> List.map (fun (name, points) -> name, points |> List.sortBy _.Cost) })
            (Gen.elements axes)
            (Gen.listOf family |> Gen.map (List.truncate 20))
    )

let private inside (drawing: XElement) =
    let between what least most value =
        Expect.isTrue (value >= least && value <= most) $"{what} {value} from {least} to {most}"

    for circle in all "circle" drawing do
        between "cx" 76.0 740.0 (number "cx" circle)
        between "cy" 64.0 528.0 (number "cy" circle)

    for line in all "line" drawing do
        for x in [ "x1"; "x2" ] do
            between x 0.0 960.0 (number x line)

        for y in [ "y1"; "y2" ] do
            between y 0.0 600.0 (number y line)

let private laws =
    [ testProperty "any plot is well-formed, with a point for each model, all inside"
      <| Prop.forAll plots (fun plot ->
          let drawing = drawn plot
          let points = plot.Families |> List.collect snd
          Expect.hasLength (all "circle" drawing) points.Length "points"
          Expect.hasLength (all "polyline" drawing) plot.Families.Length "families"
          inside drawing)

      testProperty "dearer is further right, more accurate is further up"
      <| Prop.forAll plots (fun plot ->
          let points = plot.Families |> List.collect snd
          let circles = all "circle" (drawn plot)

          for one, first in List.zip points circles do
              for other, second in List.zip points circles do
                  if one.Cost <= other.Cost then
                      Expect.isLessThanOrEqual (number "cx" first) (number "cx" second) "right"

                  if one.Top1 <= other.Top1 then
                      Expect.isGreaterThanOrEqual (number "cy" first) (number "cy" second) "up") ]

let private ofZoo =
    [ for axis in axes do
          testCase $"the zoo by {axis}: every published accuracy, every family by name, labels apart"
          <| fun () ->
              let plot = Chart.costs axis Zoo.all
              let drawing = drawn plot
              let published = Zoo.all |> List.filter _.Paper.Top1.HasValue
              Expect.hasLength (all "circle" drawing) published.Length "points"

              let families = published |> List.map _.Family.Title |> List.distinct
              Expect.equal (List.map fst plot.Families) families "families"
              let texts = all "text" drawing

              let labels =
                  [ for family in families ->
                        texts |> List.filter (fun text -> text.Value = family) |> List.exactlyOne ]

              for one, other in labels |> List.map (number "y") |> List.sort |> List.pairwise do
                  Expect.isGreaterThanOrEqual (other - one) 17.9 "a line between labels"

              inside drawing

      testCase "nothing outside the file is named, and what it shows is said"
      <| fun () ->
          let drawing = drawn (Chart.costs Cost.Parameters Zoo.all)

          for element in drawing.DescendantsAndSelf() do
              for attribute in element.Attributes() do
                  if not attribute.IsNamespaceDeclaration then
                      Expect.isFalse
                          (attribute.Value.Contains "://" || attribute.Value.Contains "url(")
                          (string attribute)

              Expect.isFalse
                  (List.contains element.Name.LocalName [ "image"; "use"; "script"; "style"; "foreignObject" ])
                  element.Name.LocalName

          Expect.isNonEmpty (all "title" drawing) "a title"
          Expect.isNonEmpty (all "desc" drawing) "a description"

      testCase "costs are computed, accuracies published"
      <| fun () ->
          let plot =
              Chart.costs Cost.Parameters [ Zoo.entry "slide-pvt-v2-b2"; Zoo.entry "slide-pvt-large" ]

          Expect.equal
              plot.Families
              [ ZooFamily.SlidePvtV2.Title,
                [ { Name = "slide-pvt-v2-b2"
                    Cost = float (parameters (Zoo.get "slide-pvt-v2-b2"))
                    Top1 = 82.7 } ] ]
              "one has no published accuracy"

      testCase "an empty plot, and a file"
      <| fun () ->
          let folder = Path.Combine(Path.GetTempPath(), $"plots-{Guid.NewGuid():N}")

          try
              let path = Path.Combine(folder, "cost.svg")
              let plot = Chart.costs Cost.Parameters []
              plot |> Chart.save path
              Expect.equal (File.ReadAllText path) (Chart.toSvg plot) "the file"
              Expect.hasLength (Directory.GetFiles folder) 1 "nothing else"
              Expect.isEmpty (all "circle" (drawn plot)) "no point"
          finally
              Directory.Delete(folder, recursive = true) ]

/// The tests of this file.
let tests = testList "plots" [ testList "laws" laws; testList "zoo" ofZoo ]
