/// What a module stores: state dictionaries, conversion to another dtype, saving and loading.
module LocalAttention.Tests.ModuleState

open System
open System.Collections.Generic
open System.IO
open TorchSharp
open Expecto
open LocalAttention.Tests.Values
open LocalAttention.Tests.Modules

let private stateOf (model: torch.nn.Module) =
    Map.ofSeq (seq { for entry in model.state_dict () -> entry.Key, elements entry.Value })

let private dictionaries =
    testList
        "state_dict"
        [ test "holds parameters and persistent buffers by name" {
              let block, named = new Block(2L), new Named()

              Expect.equal
                  (List.sort [ for key in block.state_dict().Keys -> key ])
                  [ "first.bias"; "first.weight"; "norm.bias"; "norm.weight"; "offset"; "scale" ]
                  "keys"

              Expect.equal
                  (List.sort [ for key in named.state_dict().Keys -> key ])
                  [ "layers.0.bias"; "layers.0.weight"; "table" ]
                  "without the buffer that is not persistent"
          }
          test "shares memory with the module" {
              let block = new Block(2L)
              use _ = torch.no_grad ()
              let state = block.state_dict ()
              state["scale"].fill_(scalar 7.0) |> ignore
              block.Scale |> holds [ 2L ] [ 7.0; 7.0 ]
          }
          test "a prefix goes before every name" {
              Expect.contains
                  ((torch.nn.Linear(1L, 1L)).state_dict(prefix = "head").Keys)
                  "head.weight"
                  "prefixed"
          }
          test "load_state_dict copies into the module" {
              let source, target = torch.nn.Linear(2L, 2L), torch.nn.Linear(2L, 2L)
              let struct (missing, unexpected) = target.load_state_dict (source.state_dict ())
              Expect.equal (missing.Count, unexpected.Count) (0, 0) "complete"
              Expect.equal (stateOf target) (stateOf source) "values"
              use _ = torch.no_grad ()
              source.weight.zero_ () |> ignore
              Expect.notEqual (elements target.weight) (elements source.weight) "a copy"
          }
          test "missing and unexpected names are a mistake" {
              let model = torch.nn.Linear(2L, 2L)

              let foreign =
                  Dictionary(dict [ "weight", torch.zeros (2L, 2L); "extra", torch.zeros 1L ])

              (fun () -> model.load_state_dict foreign |> ignore)
              |> throwsWith<InvalidOperationException> ignore
          }
          test "unless loading is lenient: then they are returned, and the rest is copied" {
              let model = torch.nn.Linear(2L, 2L)

              let foreign =
                  Dictionary(dict [ "weight", torch.zeros (2L, 2L); "extra", torch.zeros 1L ])

              let struct (missing, unexpected) = model.load_state_dict (foreign, strict = false)
              Expect.equal (List.ofSeq missing, List.ofSeq unexpected) ([ "bias" ], [ "extra" ]) "names"
              model.weight |> holds [ 2L; 2L ] [ 0.0; 0.0; 0.0; 0.0 ]
          }
          test "skipped names are neither copied nor missed" {
              let model = torch.nn.Linear(1L, 1L)
              let before = elements model.weight
              let foreign = Dictionary(dict [ "bias", torch.full (1L, scalar 3.0) ])
              model.load_state_dict (foreign, skip = [| "weight" |]) |> ignore
              Expect.equal (elements model.weight, elements (nonNull model.bias)) (before, [ 3.0 ]) "values"
          } ]

let private conversion =
    testList
        "conversion"
        [ test "to a dtype converts parameters and buffers of fractions, and returns the module" {
              let block = new Block(2L)
              Expect.isTrue (Object.ReferenceEquals(block.``to`` torch.float64, block)) "the module"
              Expect.all (block.parameters ()) (fun parameter -> parameter.dtype = torch.float64) "parameters"
              Expect.all (block.buffers ()) (fun buffer -> buffer.dtype = torch.float64) "buffers"

              Expect.equal
                  (block.forward(torch.ones (1L, 2L, dtype = Nullable torch.float64)).dtype)
                  torch.float64
                  "output"
          }
          test "leaves whole numbers as they are" {
              let named = new Named()
              named.``to`` torch.float64 |> ignore
              Expect.equal (nonNull (named.get_buffer "index")).dtype torch.int64 "index"
          }
          test "keeps what requires gradients" {
              let layer = torch.nn.Linear(2L, 2L)
              layer.weight.requires_grad <- false
              layer.``to`` torch.float64 |> ignore

              Expect.equal
                  [ for parameter in layer.parameters () -> parameter.requires_grad ]
                  [ false; true ]
                  "requires_grad"
          }
          test "layers are born with a dtype" {
              Expect.equal
                  (torch.nn.Linear(2L, 2L, dtype = Nullable torch.float64).weight.dtype)
                  torch.float64
                  "dtype"
          }
          test "to whole numbers is a mistake" {
              (fun () -> torch.nn.Linear(1L, 1L).``to`` torch.int64 |> ignore)
              |> throwsWith<ArgumentException>(says "floating")
          } ]

let private files =
    testList
        "files"
        [ test "save and load bring every value back" {
              let source, target = new Block(3L), new Block(3L)
              use stream = new MemoryStream()
              source.save (stream: Stream) |> ignore
              target.load (new MemoryStream(stream.ToArray()): Stream) |> ignore
              Expect.equal (stateOf target) (stateOf source) "state"
          }
          test "a file of another model is refused" {
              use stream = new MemoryStream()
              torch.nn.Linear(2L, 2L, hasBias = false).save(stream: Stream) |> ignore

              (fun () ->
                  torch.nn.Linear(2L, 2L).load(new MemoryStream(stream.ToArray()): Stream)
                  |> ignore)
              |> throwsWith<ArgumentException>(says "1")
          } ]

let tests = testList "module state" [ dictionaries; conversion; files ]
