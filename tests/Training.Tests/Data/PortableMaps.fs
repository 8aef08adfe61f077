/// PGM and PPM files, binary and as text, good and damaged.
module LocalAttention.Training.Tests.PortableMaps

open System
open System.Text
open Expecto
open FsCheck
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Training.Tests.Failures

let private ascii (text: string) = Encoding.ASCII.GetBytes text
let private read bytes = ImageFile.Read("a.ppm", bytes)

/// A file of a kind with samples from 0 to a largest value, and what its pixels must become.
let private random (random: Random) =
    let kind = random.GetItems([| 2; 3; 5; 6 |], 1)[0]
    let size = ImageSize(random.Next(1, 12), random.Next(1, 12))
    let channels = if kind = 2 || kind = 5 then 1 else 3
    let largest = random.GetItems([| 1; 15; 100; 255; 256; 1000; 65535 |], 1)[0]

    let samples =
        Array.init (size.Height * size.Width * channels) (fun _ -> random.Next(largest + 1))

    let space () =
        random.GetItems([| " "; "\n"; "\t "; "\r\n"; " # a comment\n" |], 1)[0]

    let header =
        $"P{kind}{space ()}{size.Width}{space ()}{size.Height}{space ()}{largest}\n"

    let body =
        if kind <= 3 then
            samples |> Array.map (fun sample -> ascii $"{sample}{space ()}") |> Array.concat
        elif largest > 255 then
            samples |> Array.collect (fun sample -> [| byte (sample >>> 8); byte sample |])
        else
            Array.map byte samples

    let pixels =
        [| for sample in samples ->
               byte (Math.Round(255.0 * float sample / float largest, MidpointRounding.AwayFromZero)) |]

    size, channels, Array.append (ascii header) body, pixels

let private reading =
    testProperty "every kind with every largest value"
    <| fun (seed: int) ->
        let size, channels, bytes, pixels = random (Random seed)
        let image = read bytes
        Expect.equal image.Size size "the size"
        Expect.equal image.Channels channels "the channels"
        Expect.equal (image.Pixels.ToArray()) pixels "the pixels"

let private refusal name (text: string) (mistake: string) =
    testCase name
    <| fun () -> failsWith<DataFileException> $"a.ppm: {mistake}" (fun () -> read (ascii text) |> ignore)

let private refusals =
    [ refusal "cut" "P5 2" "the file ends before the height; it is truncated"
      refusal "a word for a number" "P5 2 x 255\n" "at byte 5, in place of the height, stands 0x78, no digit"
      refusal
          "a huge number"
          "P5 99999999999 2 255\n"
          "the width is above 2147483647, the largest that is possible here"
      refusal "no pixel" "P5 0 2 255\n" "the image is 2×0; each side must be at least 1"
      refusal
          "more pixels than are read"
          "P6 100000 100000 255\nabc"
          "the image is 100000×100000; at most 67,108,864 pixels are read"
      refusal "no largest value" "P5 1 1 0\na" "the largest value is 0; it must be from 1 to 65535"
      refusal
          "a largest value of three bytes"
          "P5 1 1 65536\na"
          "the largest value is above 65535, the largest that is possible here"
      refusal
          "fewer pixels than promised"
          "P6 2 2 255\nabc"
          "an image of 2×2 with 3 channels needs 12 bytes or more; 3 are left; the file is truncated or its header wrong"
      refusal
          "fewer pixels than promised, as text"
          "P3 2 2 255\n1 2 3"
          "an image of 2×2 with 3 channels needs 23 bytes or more; 5 are left; the file is truncated or its header wrong"
      refusal "a sample above the largest value" "P5 1 1 15\n\016\n" "sample 1 is 16; the largest value is 15"
      refusal
          "a sample as text above the largest value"
          "P2 1 1 15\n16"
          "sample 1 is above 15, the largest that is possible here"
      refusal
          "a second image"
          "P5 1 1 255\naP5 1 1 255\na"
          "there is data after the image, at byte 12; one image is read"
      refusal
          "bits"
          "P4 1 1\na"
          "the file begins with 0x50342031; PNG begins with 0x89504E47, PGM and PPM with P2, P3, P5 or P6; convert the image to one of these" ]

let private damaged =
    testProperty "cut or changed anywhere, reading ends with an image or a refusal"
    <| fun (seed: int) ->
        let source = Random seed
        let _, _, bytes, _ = random source
        let changed = Array.copy bytes[.. source.Next bytes.Length - 1]

        for _ in 0 .. source.Next 3 do
            if changed.Length > 0 then
                changed[source.Next changed.Length] <- byte (source.Next 256)

        try
            read changed |> ignore
        with
        | :? DataFileException -> ()
        | other -> failtest $"seed {seed}: {other}"

/// The tests of this file.
let tests =
    testList "PGM and PPM files" [ reading; testList "refusals" refusals; damaged ]
