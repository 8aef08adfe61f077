/// PNG files of every colour type, depth and interlacing, made here sample by sample; and damaged ones.
module LocalAttention.Training.Tests.PngFiles

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open FsCheck
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Training.Tests.Failures
open LocalAttention.Training.Tests.Files

// ---------------------------------------------------------------------------------- an encoder by the specification

/// How an image is written.
type private Layout =
    { Width: int
      Height: int
      Depth: int
      Colour: int
      Interlaced: bool
      Palette: byte array
      Transparency: byte array option }

let private samplesOf layout =
    match layout.Colour with
    | 0
    | 3 -> 1
    | 2 -> 3
    | 4 -> 2
    | _ -> 4

let private bigEndian (value: uint32) =
    let bytes = Array.zeroCreate 4
    BinaryPrimitives.WriteUInt32BigEndian(Span bytes, value)
    bytes

/// The check value bit by bit, as ISO 3309 defines it.
let private crc (bytes: byte array) =
    let mutable state = UInt32.MaxValue

    for value in bytes do
        state <- state ^^^ uint32 value

        for _ in 1..8 do
            state <-
                if state &&& 1u = 1u then
                    (state >>> 1) ^^^ 0xEDB88320u
                else
                    state >>> 1

    ~~~state

let private chunk (name: string) (data: byte array) =
    let named = Array.append (Encoding.ASCII.GetBytes name) data
    Array.concat [ bigEndian (uint32 data.Length); named; bigEndian (crc named) ]

let private signature =
    [| 0x89uy; 0x50uy; 0x4euy; 0x47uy; 0x0duy; 0x0auy; 0x1auy; 0x0auy |]

let private header layout =
    Array.concat
        [ bigEndian (uint32 layout.Width)
          bigEndian (uint32 layout.Height)
          [| byte layout.Depth
             byte layout.Colour
             0uy
             0uy
             (if layout.Interlaced then 1uy else 0uy) |] ]

let private zlib (raw: byte array) =
    use packed = new MemoryStream()

    using (new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen = true)) (fun stream ->
        stream.Write(ReadOnlySpan raw))

    packed.ToArray()

/// Which of the seven passes brings a pixel: the specification's figure.
let private passes =
    [ "16462646"
      "77777777"
      "56565656"
      "77777777"
      "36463646"
      "77777777"
      "56565656"
      "77777777" ]

/// The pixels of each row that is written, in order.
let private rows layout =
    let all = List.allPairs [ 0 .. layout.Height - 1 ] [ 0 .. layout.Width - 1 ]

    if layout.Interlaced then
        [ for pass in '1' .. '7' do
              let chosen = all |> List.filter (fun (y, x) -> passes[y % 8][x % 8] = pass)

              for _, row in chosen |> List.groupBy fst do
                  pass, row ]
    else
        [ for _, row in all |> List.groupBy fst -> '0', row ]

let private paeth (left: int) (above: int) (diagonal: int) =
    let estimate = left + above - diagonal
    [ left; above; diagonal ] |> List.minBy (fun value -> abs (estimate - value))

/// All rows with their filters, unpacked.
let private raw layout (sample: int -> int -> int -> int) (filter: unit -> int) =
    let distance = max 1 (samplesOf layout * layout.Depth / 8)

    let packed row =
        let bits =
            [| for y, x in row do
                   for channel in 0 .. samplesOf layout - 1 do
                       for bit in layout.Depth - 1 .. -1 .. 0 -> sample y x channel >>> bit &&& 1 |]

        [| for eight in Array.chunkBySize 8 bits ->
               Array.append eight (Array.zeroCreate (8 - eight.Length))
               |> Array.fold (fun value bit -> 2 * value + bit) 0 |]

    let mutable previous = '-', [||]

    [| for pass, row in rows layout do
           let bytes = packed row

           let above =
               if fst previous = pass then
                   snd previous
               else
                   Array.zeroCreate bytes.Length

           let before (line: int array) index =
               if index < distance then 0 else line[index - distance]

           let kind = filter ()
           byte kind

           for index in 0 .. bytes.Length - 1 do
               let left, up, diagonal = before bytes index, above[index], before above index

               let predicted =
                   match kind with
                   | 0 -> 0
                   | 1 -> left
                   | 2 -> up
                   | 3 -> (left + up) / 2
                   | _ -> paeth left up diagonal

               byte (bytes[index] - predicted &&& 255)

           previous <- pass, bytes |]

/// A whole file, its data cut into chunks of some length.
let private file layout (data: byte array) (cut: int) =
    Array.concat
        [ signature
          chunk "IHDR" (header layout)
          chunk "gAMA" (bigEndian 45455u)
          if layout.Palette.Length > 0 then
              chunk "PLTE" layout.Palette
          match layout.Transparency with
          | Some bytes -> chunk "tRNS" bytes
          | None -> ()
          for piece in Array.chunkBySize cut data do
              chunk "IDAT" piece
          chunk "tEXt" (Encoding.ASCII.GetBytes "Comment\000made here")
          chunk "IEND" [||] ]

/// What each pixel must become.
let private expected layout (sample: int -> int -> int -> int) =
    let largest = float ((1 <<< layout.Depth) - 1)
    // No sample lies between two bytes: the largest value is odd.
    let scaled value =
        byte (Math.Round(255.0 * float value / largest))

    [| for y in 0 .. layout.Height - 1 do
           for x in 0 .. layout.Width - 1 do
               let samples = [| for channel in 0 .. samplesOf layout - 1 -> sample y x channel |]

               match layout.Colour, layout.Transparency with
               | 3, transparency ->
                   yield! layout.Palette[3 * samples[0] .. 3 * samples[0] + 2]

                   match transparency with
                   | Some opacities -> opacities |> Array.tryItem samples[0] |> Option.defaultValue 255uy
                   | None -> ()
               | _, Some colour ->
                   yield! Array.map scaled samples

                   let transparent =
                       [| for index in 0 .. samples.Length - 1 ->
                              256 * int colour[2 * index] + int colour[2 * index + 1] |]

                   if transparent = samples then 0uy else 255uy
               | _ -> yield! Array.map scaled samples |]

let private kinds =
    [ for colour, depths in
          [ 0, [ 1; 2; 4; 8; 16 ]
            2, [ 8; 16 ]
            3, [ 1; 2; 4; 8 ]
            4, [ 8; 16 ]
            6, [ 8; 16 ] ] do
          for depth in depths do
              for transparent in [ false; true ] do
                  for interlaced in [ false; true ] do
                      if not (transparent && colour >= 4) then
                          colour, depth, transparent, interlaced ]

/// A layout of a kind, its samples, and the bytes of its file.
let private random (random: Random) (colour, depth, transparent, interlaced) =
    let colours = random.Next(1, min 257 ((1 <<< depth) + 1))

    let layout =
        { Width = random.Next(1, 20)
          Height = random.Next(1, 20)
          Depth = depth
          Colour = colour
          Interlaced = interlaced
          Palette =
            if colour = 3 then
                Array.init (3 * colours) (fun _ -> byte (random.Next 256))
            else
                [||]
          Transparency = None }

    let most = if colour = 3 then colours else 1 <<< depth

    let samples =
        Array3D.init layout.Height layout.Width (samplesOf layout) (fun _ _ _ -> random.Next most)

    let layout =
        if not transparent then
            layout
        elif colour = 3 then
            { layout with
                Transparency =
                    Some(Array.init (random.Next(1, colours + 1)) (fun _ -> byte (random.Next 256))) }
        else
            // The colour of one of the pixels, so that there is one.
            { layout with
                Transparency =
                    Some
                        [| for channel in 0 .. samplesOf layout - 1 do
                               byte (samples[0, 0, channel] >>> 8)
                               byte samples[0, 0, channel] |] }

    let sample y x channel = samples[y, x, channel]
    let data = zlib (raw layout sample (fun () -> random.Next 5))
    layout, sample, file layout data (random.Next(1, data.Length + 1))

let private reading =
    [ for colour, depth, transparent, interlaced as kind in kinds do
          let name =
              $"colour type {colour}, {depth} bits"
              + (if transparent then ", transparent" else "")
              + if interlaced then ", interlaced" else ""

          testPropertyWithConfig
              { FsCheckConfig.defaultConfig with
                  maxTest = 8 }
              name
              (fun (seed: int) ->
                  let layout, sample, bytes = random (Random seed) kind
                  let image = ImageFile.Read("a.png", bytes)
                  Expect.equal image.Size (ImageSize(layout.Height, layout.Width)) "the size"
                  Expect.equal (image.Pixels.ToArray()) (expected layout sample) "the pixels") ]

let private writing =
    testProperty "what is written is read again"
    <| fun (seed: int) ->
        let random = Random seed
        let size = ImageSize(random.Next(1, 30), random.Next(1, 30))
        let channels = random.Next(1, 5)

        let image =
            PixelImage(
                size,
                channels,
                Array.init (size.Height * size.Width * channels) (fun _ -> byte (random.Next 256))
            )

        let again = ImageFile.Read("a.png", PngFile.ToBytes image)
        Expect.equal again.Size size "the size"
        Expect.equal again.Channels channels "the channels"
        Expect.equal (again.Pixels.ToArray()) (image.Pixels.ToArray()) "the pixels"

let private files =
    testCase "files appear whole, and are replaced"
    <| inFolder (fun folder ->
        let path = Path.Combine(folder, "image.png")

        let image shade =
            PixelImage(ImageSize(1, 2), 1, [| shade; 255uy |])

        PngFile.Write(path, image 1uy)
        PngFile.Write(path, image 7uy)
        Expect.equal (ImageFile.Read(path).Pixels.ToArray()) [| 7uy; 255uy |] "the pixels"
        Expect.equal (namesIn folder) [ "image.png" ] "the files"
        let missing = Path.Combine(folder, "none")
        let nowhere = Path.Combine(missing, "image.png")

        Expect.stringStarts
            (failure<DataFileException>(fun () -> PngFile.Write(nowhere, image 1uy))).Message
            $"{nowhere}: the directory {missing} does not exist"
            "the text")

// ---------------------------------------------------------------------------------- damage

let private plain =
    { Width = 3
      Height = 2
      Depth = 8
      Colour = 0
      Interlaced = false
      Palette = [||]
      Transparency = None }

let private plainRaw = [| 0uy; 1uy; 2uy; 3uy; 0uy; 4uy; 5uy; 6uy |]
let private plainFile = file plain (zlib plainRaw) 1000

let private refusal name (bytes: byte array) (mistake: string) =
    testCase name
    <| fun () ->
        failsWith<DataFileException> $"a.png: {mistake}" (fun () -> ImageFile.Read("a.png", bytes) |> ignore)

let private withHeader (layout: Layout) = file layout (zlib plainRaw) 1000

let private joined (chunks: byte array list) = Array.concat (signature :: chunks)

let private refusals =
    let ihdr, idat, iend =
        chunk "IHDR" (header plain), chunk "IDAT" (zlib plainRaw), chunk "IEND" [||]

    [ refusal
          "cut"
          plainFile[.. plainFile.Length - 5]
          $"the file ends at byte {plainFile.Length - 4} without a chunk IEND; it is truncated"
      refusal
          "cut inside a chunk"
          (joined [ ihdr; idat[..14] ])
          $"the chunk IDAT promises {idat.Length - 12} bytes; 3 are left; the file is truncated"
      (let damaged = Array.copy ihdr
       damaged[8] <- 1uy

       refusal
           "a wrong check value"
           (joined [ damaged; idat; iend ])
           $"the chunk IHDR at byte 8 is damaged: its check value is 0x{crc ihdr[4..20]:x8}, that of its data 0x{crc damaged[4..20]:x8}")
      refusal
          "no header"
          (joined [ idat; iend ])
          "the chunk IDAT stands where IHDR must be the first and only one of its name"
      refusal
          "two headers"
          (joined [ ihdr; ihdr; idat; iend ])
          "the chunk IHDR stands where IHDR must be the first and only one of its name"
      refusal "no pixels" (joined [ ihdr; iend ]) "there is no chunk IDAT; an image without pixels is none"
      refusal
          "an unknown chunk that matters"
          (joined [ ihdr; chunk "ABCD" [||]; idat; iend ])
          "the chunk ABCD is needed to show the image, and not known"
      refusal
          "pixels in two places"
          (joined [ ihdr; idat; chunk "tEXt" [||]; idat; iend ])
          "the chunk tEXt stands between chunks IDAT; these must follow each other"
      refusal
          "no name of a chunk"
          (joined [ ihdr; chunk "I\001AT" [||]; iend ])
          "at byte 37 stands 0x49014154; a chunk's name is four letters"
      refusal
          "a side of nothing"
          (withHeader { plain with Width = 0 })
          "the image is 2×0; each side must be at least 1"
      refusal
          "a side beyond all measure"
          (withHeader { plain with Width = -1 })
          "the image is 2×4294967295; at most 67,108,864 pixels are read"
      refusal
          "an unknown colour type"
          (withHeader { plain with Colour = 5 })
          "the colour type is 5; it must be 0, 2, 3, 4 or 6"
      refusal
          "a depth of another colour type"
          (withHeader { plain with Colour = 2; Depth = 4 })
          "the bit depth is 4; with colour type 2 it must be 8, 16"
      refusal
          "no palette"
          (withHeader { plain with Colour = 3 })
          "there is no chunk PLTE; with colour type 3 there must be one with colours"
      refusal
          "a colour beyond the palette"
          (withHeader
              { plain with
                  Colour = 3
                  Palette = [| 1uy; 2uy; 3uy |] })
          "a pixel has colour 1; the palette's 1 colours are counted from 0"
      refusal
          "more opacities than colours"
          (withHeader
              { plain with
                  Colour = 3
                  Palette = [| 1uy; 2uy; 3uy |]
                  Transparency = Some [| 1uy; 2uy |] })
          "the chunk tRNS has 2 opacities; the palette has 1 colours"
      refusal
          "an unknown filter"
          (file plain (zlib (Array.append [| 5uy |] plainRaw[1..])) 99)
          "the filter of row 1 is 5; filters go from 0 to 4"
      refusal
          "too few pixels"
          (file plain (zlib plainRaw[..6]) 99)
          "the compressed data ends inside row 2 of 2"
      refusal
          "too many pixels"
          (file plain (zlib (Array.append plainRaw [| 0uy |])) 99)
          "there is compressed data after the 8 bytes that the header promises"
      refusal
          "another format"
          [| 0xffuy; 0xd8uy; 0xffuy; 0xe0uy; 1uy |]
          "the file begins with 0xFFD8FFE0; PNG begins with 0x89504E47, PGM and PPM with P2, P3, P5 or P6; convert the image to one of these"
      refusal
          "nothing"
          [||]
          "the file is empty; PNG begins with 0x89504E47, PGM and PPM with P2, P3, P5 or P6; convert the image to one of these" ]

/// A header that promises much more than its data can hold is refused before memory is taken.
let private bomb =
    testCase "a promise that the data cannot hold costs no memory"
    <| fun () ->
        let bytes =
            withHeader
                { plain with
                    Width = 8000
                    Height = 8000 }

        let before = GC.GetAllocatedBytesForCurrentThread()

        let refused =
            failure<DataFileException>(fun () -> ImageFile.Read("a.png", bytes) |> ignore)

        let allocated = GC.GetAllocatedBytesForCurrentThread() - before

        Expect.stringStarts
            refused.Message
            "a.png: an image of 8000×8000 has 64,008,000 bytes before compression; "
            "the text"

        Expect.isLessThan allocated 1_000_000L "bytes allocated"

/// Reading ends with an image or a `DataFileException`, within the memory that `ImageFile` states.
let private ends what (bytes: byte array) =
    let before = GC.GetAllocatedBytesForCurrentThread()

    try
        ImageFile.Read("a.png", bytes) |> ignore
    with
    | :? DataFileException -> ()
    | other -> failtest $"{what}: {other}"

    let allocated = GC.GetAllocatedBytesForCurrentThread() - before
    Expect.isLessThan allocated (32L * 1032L * int64 bytes.Length + 1_000_000L) $"{what}: bytes allocated"

/// The same file with the check values of all chunks made right, so that damage reaches what is behind them.
let private repaired (bytes: byte array) =
    let bytes = Array.copy bytes

    let rec from position =
        if position + 12 <= bytes.Length then
            let length = BinaryPrimitives.ReadUInt32BigEndian(ReadOnlySpan(bytes, position, 4))

            if int64 position + 12L + int64 length <= int64 bytes.Length then
                let last = position + 8 + int length
                Array.blit (bigEndian (crc bytes[position + 4 .. last - 1])) 0 bytes last 4
                from (last + 4)

    from signature.Length
    bytes

let private corpus =
    lazy [ for kind in kinds -> let _, _, bytes = random (Random 1) kind in kind, bytes ]

let private truncated =
    testCase "cut at any length"
    <| fun () ->
        for kind, bytes in corpus.Value do
            for length in 0 .. bytes.Length - 1 do
                if length < 200 || length % 7 = 0 then
                    ends $"%A{kind} cut at {length}" bytes[.. length - 1]

let private mutated =
    testProperty "changed anywhere, check values right or wrong"
    <| fun (seed: int) ->
        let random = Random seed
        let kind, bytes = corpus.Value[random.Next corpus.Value.Length]
        let changed = Array.copy bytes

        for _ in 0 .. random.Next 4 do
            changed[random.Next changed.Length] <- byte (random.Next 256)

        ends $"%A{kind} changed, seed {seed}" changed
        ends $"%A{kind} changed and repaired, seed {seed}" (repaired changed)

/// The tests of this file.
let tests =
    testList
        "PNG files"
        [ testList "reading" reading
          writing
          files
          testList "refusals" refusals
          bomb
          truncated
          mutated ]
