namespace LocalAttention.Verification

open System.Net
open System.Text

/// A page as a tree: what is written in it is text, and can never become an element.
[<RequireQualifiedAccess>]
type internal Markup =
    /// A name of ours, its attributes, and what it holds.
    | Element of name: string * attributes: (string * string) list * content: Markup list
    /// Any text at all.
    | Text of string
    /// A style sheet of ours, as it is.
    | Style of string

module internal Markup =
    /// Elements that hold nothing and have no closing tag.
    let private isVoid (name: string) = name = "meta"

    let private escaped (text: string) =
        WebUtility.HtmlEncode(Wording.readable text)

    let rec private write (page: StringBuilder) (node: Markup) =
        match node with
        | Markup.Text text -> page.Append(escaped text) |> ignore
        | Markup.Style sheet -> page.Append("<style>").Append(sheet).Append "</style>" |> ignore
        | Markup.Element(name, attributes, content) ->
            page.Append('<').Append name |> ignore

            for attribute, value in attributes do
                page.Append(' ').Append(attribute).Append("=\"").Append(escaped value).Append '"'
                |> ignore

            page.Append '>' |> ignore

            if not (isVoid name) then
                List.iter (write page) content
                page.Append("</").Append(name).Append '>' |> ignore

    /// An element.
    let element (name: string) (attributes: (string * string) list) (content: Markup list) =
        Markup.Element(name, attributes, content)

    /// An element of nothing but text.
    let labelled (name: string) (attributes: (string * string) list) (text: string) =
        Markup.Element(name, attributes, [ Markup.Text text ])

    /// The tree as HTML.
    let render (node: Markup) : string =
        let page = StringBuilder()
        write page node
        page.ToString()
