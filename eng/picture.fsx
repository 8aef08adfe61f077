// Draws the README's picture: what F# Interactive prints for an architecture, as SVG.
//   ./run.sh eng/picture.fsx > docs/qna-vit-tiny.svg
#load "../LocalAttention.fsx"

open System.Security
open LocalAttention.Dsl

let lines = $"> QnAViT.tiny;;\n{Printing.architecture QnAViT.tiny}".Split('\n')

let lineHeight, characterWidth, margin = 18, 8.43, 16

let width =
    (lines |> Seq.map String.length |> Seq.max |> float) * characterWidth
    + 2.0 * float margin

let height = lines.Length * lineHeight + 2 * margin

printfn
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%d\" font-family=\"monospace\" font-size=\"14\">"
    width
    height

printfn "  <rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#1e2430\"/>"

lines
|> Seq.iteri (fun index line ->
    printfn
        "  <text x=\"%d\" y=\"%d\" fill=\"#d8dee9\" textLength=\"%.0f\" xml:space=\"preserve\">%s</text>"
        margin
        (margin + index * lineHeight + 13)
        (float line.Length * characterWidth)
        (SecurityElement.Escape line))

printfn "</svg>"
