/// Modules: what registers, under which names, in which order; containers, hooks, modes and disposal.
module LocalAttention.Tests.Modules

open System
open TorchSharp
open TorchSharp.Modules
open Expecto
open LocalAttention.Tests.Values

let names (parameters: struct (string * Parameter) seq) =
    [ for struct (name, _) in parameters -> name ]

let bufferNames (buffers: struct (string * Tensor) seq) =
    [ for struct (name, _) in buffers -> name ]

let moduleNames (modules: struct (string * torch.nn.Module) seq) =
    [ for struct (name, _) in modules -> name ]

/// Fields of every kind that a module can hold.
type Block(width: int64) as this =
    inherit torch.nn.Module<Tensor, Tensor>("Block")
    let first = torch.nn.Linear(width, width)
    let scale = torch.nn.Parameter(torch.ones width)
    let offset = torch.zeros width
    let norm = torch.nn.LayerNorm width
    let note = "not a component"
    do this.RegisterComponents()
    member _.First = first
    member _.Scale = scale
    member _.Offset = offset
    member _.Note = note

    override _.forward(x: Tensor) =
        norm.call (first.call x * scale + offset)

/// A module that registers under names of its own choosing.
type Named() as this =
    inherit torch.nn.Module<Tensor, Tensor>("Named")

    let layers =
        torch.nn.ModuleList<torch.nn.Module<Tensor, Tensor>>(torch.nn.Linear(2L, 2L), torch.nn.Identity())

    do
        this.register_module ("layers", layers)
        this.register_parameter ("table", torch.nn.Parameter(torch.zeros 3L))
        this.register_buffer ("index", torch.zeros (3L, dtype = Nullable torch.int64), persistent = false)

    member _.Layers = layers
    override _.forward(x: Tensor) = layers[0].call x

let private registration =
    testList
        "registration"
        [ test "RegisterComponents finds parameters, buffers and modules among the fields, by their names" {
              let block = new Block(2L)

              Expect.equal
                  (names (block.named_parameters ()) |> List.sort)
                  [ "first.bias"; "first.weight"; "norm.bias"; "norm.weight"; "scale" ]
                  "parameters"

              Expect.equal (bufferNames (block.named_buffers ())) [ "offset" ] "buffers"
              Expect.equal (moduleNames (block.named_children ())) [ "first"; "norm" ] "children"
          }
          test "own parameters come before those of submodules" {
              let block = new Block(2L)
              Expect.equal (names (block.named_parameters ()) |> List.head) "scale" "first"
              Expect.equal (names (block.named_parameters false)) [ "scale" ] "without submodules"
          }
          test "register_ takes any name, in the order of the calls" {
              let named = new Named()

              Expect.equal
                  (names (named.named_parameters ()))
                  [ "table"; "layers.0.weight"; "layers.0.bias" ]
                  "parameters"

              Expect.equal
                  (moduleNames (named.named_modules ()))
                  [ "layers"; "layers.0"; "layers.1" ]
                  "modules"

              Expect.isTrue (named.has_parameter "layers.0.weight" && named.has_buffer "index") "has"
              Expect.equal (shape (named.get_parameter "table" |> nonNull)) [ 3L ] "get"
              Expect.isNull (named.get_parameter "tables") "none such"
          }
          test "a name registers once, and has no dot" {
              let named = new Named()

              (fun () -> named.register_parameter ("table", torch.nn.Parameter(torch.zeros 1L)))
              |> throwsWith<InvalidOperationException>(fun message ->
                  says "table" message
                  says "is already registered" message)

              (fun () -> named.register_module ("a.b", torch.nn.Identity()))
              |> throwsWith<ArgumentException>(says "a.b")
          }
          test "a module's name" { Expect.equal ((new Block(2L)).GetName()) "Block" "name" }
          test "a parameter shared by two modules is listed once" {
              let shared = torch.nn.Linear(2L, 2L)
              let both = torch.nn.Sequential(shared, shared)
              Expect.equal (names (both.named_parameters ())) [ "0.weight"; "0.bias" ] "names"
          } ]

let private containers =
    testList
        "containers"
        [ test "Sequential numbers its modules and calls them in order" {
              let model =
                  torch.nn.Sequential(torch.nn.Linear(2L, 3L), torch.nn.ReLU(), torch.nn.Linear(3L, 1L))

              Expect.equal
                  (names (model.named_parameters ()))
                  [ "0.weight"; "0.bias"; "2.weight"; "2.bias" ]
                  "names"

              Expect.equal (shape (model.call (torch.zeros (5L, 2L)))) [ 5L; 1L ] "output"
              Expect.equal model.Count 3 "count"
          }
          test "Sequential takes names" {
              let model =
                  torch.nn.Sequential(
                      struct ("inner", torch.nn.Linear(1L, 1L) :> torch.nn.Module<Tensor, Tensor>)
                  )

              Expect.equal (names (model.named_parameters ())) [ "inner.weight"; "inner.bias" ] "names"
          }
          test "ModuleList numbers its modules once it is registered, and is a list" {
              let list = (new Named()).Layers

              Expect.equal
                  (list.Count, names (list.named_parameters ()))
                  (2, [ "0.weight"; "0.bias" ])
                  "names"

              Expect.equal [ for layer in list -> layer.GetType().Name ] [ "Linear"; "Identity" ] "items"
          } ]

let private running =
    testList
        "running"
        [ test "train and eval reach every submodule" {
              let model =
                  torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Sequential(torch.nn.Dropout()))

              model.eval ()
              Expect.isFalse (model.training || (model.modules () |> Seq.exists _.training)) "evaluation"
              model.train ()
              Expect.isTrue (model.training && (model.modules () |> Seq.forall _.training)) "training"
          }
          test "call runs pre-hooks, forward, and hooks, which may change input and output" {
              let layer = torch.nn.Identity()
              layer.register_forward_pre_hook (fun _ x -> x + 1.0) |> ignore
              let post = layer.register_forward_hook (fun _ _ y -> y * 10.0)
              layer.call (vector [ 1.0 ]) |> holds [ 1L ] [ 20.0 ]
              layer.forward (vector [ 1.0 ]) |> holds [ 1L ] [ 1.0 ]
              post.remove ()
              layer.call (vector [ 1.0 ]) |> holds [ 1L ] [ 2.0 ]
          }
          test "apply visits the module and all below it" {
              let mutable visited = []
              let model = torch.nn.Sequential(torch.nn.Linear(1L, 1L), torch.nn.ReLU())
              model.apply (fun each -> visited <- each.GetName() :: visited) |> ignore
              Expect.equal (List.sort visited) [ "Linear"; "ReLU"; "Sequential" ] "visited"
          }
          test "zero_grad clears the gradients of all parameters" {
              let layer = torch.nn.Linear(2L, 1L)
              layer.call(torch.ones (1L, 2L)).sum().backward()
              layer.zero_grad ()

              for parameter in layer.parameters () do
                  match parameter.grad with
                  | null -> ()
                  | gradient -> Expect.all (elements gradient) ((=) 0.0) "cleared"
          }
          test "requires_grad can be taken from a whole module" {
              let layer = torch.nn.Linear(2L, 1L)

              for parameter in layer.parameters () do
                  parameter.requires_grad <- false

              Expect.isFalse (layer.call(torch.ones (1L, 2L)).requires_grad) "output"
          }
          test "disposing a module disposes its parameters and buffers, and its submodules" {
              let block = new Block(2L)
              let kept = [ block.Scale :> Tensor; block.Offset; block.First.weight ]
              block.Dispose()
              Expect.equal [ for tensor in kept -> tensor.IsInvalid ] [ true; true; true ] "disposed"
          }
          test "a scope does not take a module's parameters from it" {
              let scope = torch.NewDisposeScope()
              let layer = torch.nn.Linear(2L, 1L)
              scope.Detach(layer.parameters () |> Seq.map (fun parameter -> parameter :> IDisposable))
              scope.Dispose()
              Expect.equal (shape (layer.call (torch.zeros (1L, 2L)))) [ 1L; 1L ] "still works"
          } ]

let tests = testList "modules" [ registration; containers; running ]
