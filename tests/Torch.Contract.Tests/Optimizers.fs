/// Optimizers against steps computed by hand, their groups and their states; clipping.
module LocalAttention.Tests.Optimizers

open System
open System.IO
open TorchSharp
open TorchSharp.Modules
open Expecto
open LocalAttention.Tests.Values

let private parameter (value: float) = torch.nn.Parameter(vector [ value ])

/// Steps with these gradients, one after the other; the values of the parameter after each.
let private walk (optimizer: torch.optim.Optimizer) (parameter: Parameter) (gradients: float list) =
    [ for gradient in gradients do
          parameter.grad <- vector [ gradient ]
          optimizer.step () |> ignore
          parameter.item<float32>() |> float ]

/// Equal up to single precision: a step rounds at most ten times, at the size of the value or less.
let private isWalk (expected: float list) (actual: float list) =
    for a, e in List.zip actual expected do
        Expect.isLessThan
            (abs (a - e))
            (float actual.Length * 10.0 * 2.0 ** -23.0 * max 1.0 (abs e))
            $"{a} and {e}"

/// AdamW as its paper has it, in double precision.
let private adamW rate beta1 beta2 epsilon decay start gradients =
    let step (index, x, m, v) g =
        let x = x * (1.0 - rate * decay)
        let m, v = beta1 * m + (1.0 - beta1) * g, beta2 * v + (1.0 - beta2) * g * g
        let mHat, vHat = m / (1.0 - beta1 ** float index), v / (1.0 - beta2 ** float index)
        index + 1, x - rate * mHat / (sqrt vHat + epsilon), m, v

    List.scan step (1, start, 0.0, 0.0) gradients
    |> List.tail
    |> List.map (fun (_, x, _, _) -> x)

let private steps =
    testList
        "steps"
        [ test "SGD goes against the gradient" {
              let p = parameter 1.0
              walk (torch.optim.SGD([ p ], 0.1)) p [ 2.0; -1.0 ] |> isWalk [ 0.8; 0.9 ]
          }
          test "SGD with momentum keeps its velocity" {
              let p = parameter 1.0
              // v: 1, 0.9 + 1 = 1.9, 1.71
              walk (torch.optim.SGD([ p ], 0.1, momentum = 0.9)) p [ 1.0; 1.0; 0.0 ]
              |> isWalk [ 0.9; 0.71; 0.539 ]
          }
          test "SGD's weight decay adds to the gradient" {
              let p = parameter 2.0

              walk (torch.optim.SGD([ p ], 0.1, weight_decay = 0.5)) p [ 1.0 ]
              |> isWalk [ 1.8 ]
          }
          test "SGD by Nesterov looks ahead" {
              let p = parameter 1.0

              walk (torch.optim.SGD([ p ], 0.1, momentum = 0.9, nesterov = true)) p [ 1.0 ]
              |> isWalk [ 0.81 ]
          }
          test "AdamW" {
              let p = parameter 1.0
              let gradients = [ 0.5; -0.25; 2.0; 0.0 ]

              walk (torch.optim.AdamW([ p ], 0.1, 0.9, 0.99, 1e-8, 0.05)) p gradients
              |> isWalk (adamW 0.1 0.9 0.99 1e-8 0.05 1.0 gradients)
          }
          test "AdamW's defaults: rate 0.001, betas 0.9 and 0.999, no decay" {
              let p = parameter 1.0

              walk (torch.optim.AdamW [ p ]) p [ 3.0; 1.0 ]
              |> isWalk (adamW 1e-3 0.9 0.999 1e-8 0.0 1.0 [ 3.0; 1.0 ])
          }
          test "Adam adds its decay to the gradient" {
              let p = parameter 2.0

              walk (torch.optim.Adam([ p ], 0.1, weight_decay = 0.5)) p [ 1.0 ]
              |> isWalk (adamW 0.1 0.9 0.999 1e-8 0.0 2.0 [ 2.0 ])
          }
          test "a parameter without gradient stays" {
              let moving, resting = parameter 1.0, parameter 1.0
              let optimizer = torch.optim.AdamW([ moving; resting ], 0.1, weight_decay = 0.5)
              walk optimizer moving [ 1.0 ] |> ignore
              resting |> holds [ 1L ] [ 1.0 ]
          }
          test "step returns the loss of its closure" {
              let p = parameter 2.0
              let optimizer = torch.optim.SGD([ p ], 0.1)

              let closure () =
                  optimizer.zero_grad ()
                  let loss = (p * p).sum()
                  loss.backward ()
                  loss

              nonNull (optimizer.step closure) |> holds [] [ 4.0 ]
              p |> holdsNearly 2 [ 1L ] [ 1.6 ]
          }
          test "zero_grad clears what the next backward pass would add to" {
              let p = parameter 2.0
              let optimizer = torch.optim.SGD([ p ], 0.1)
              p.sum().backward()
              optimizer.zero_grad ()
              p.sum().backward()
              nonNull p.grad |> holds [ 1L ] [ 1.0 ]
          } ]

let private groups =
    testList
        "groups"
        [ test "each has a rate and a decay of its own" {
              let a, b = parameter 1.0, parameter 1.0

              let optimizer =
                  torch.optim.SGD(
                      [ SGD.ParamGroup([ a ], 0.1); SGD.ParamGroup([ b ], 0.2, weight_decay = 1.0) ],
                      0.5
                  )

              a.grad <- vector [ 1.0 ]
              b.grad <- vector [ 1.0 ]
              optimizer.step () |> ignore
              a |> holdsNearly 2 [ 1L ] [ 0.9 ]
              b |> holdsNearly 2 [ 1L ] [ 0.6 ]
          }
          test "show their rates, which can be set" {
              let p = parameter 1.0
              let optimizer = torch.optim.AdamW([ AdamW.ParamGroup([ p ], 0.25) ])
              let group = Seq.exactlyOne optimizer.ParamGroups
              Expect.equal (group.LearningRate, group.InitialLearningRate) (0.25, 0.25) "rates"
              group.LearningRate <- 0.0
              walk optimizer p [ 1.0 ] |> isWalk [ 1.0 ]
          }
          test "can be added later" {
              let a, b = parameter 1.0, parameter 1.0
              let optimizer = torch.optim.SGD([ a ], 0.1)
              optimizer.add_param_group (SGD.ParamGroup([ b ], 0.5))
              Expect.equal [ for group in optimizer.ParamGroups -> group.LearningRate ] [ 0.1; 0.5 ] "rates"
              walk optimizer b [ 1.0 ] |> isWalk [ 0.5 ]
          }
          test "the parameters of all groups" {
              let a, b = parameter 1.0, parameter 1.0
              Expect.equal (Seq.length (torch.optim.AdamW([ a; b ]).parameters())) 2 "count"
          } ]

let private states =
    testList
        "states"
        [ test "a saved and loaded optimizer goes on as if nothing had happened" {
              let gradients = [ 0.5; -0.25; 2.0; 1.0 ]
              let straight, broken = parameter 1.0, parameter 1.0
              let expected = walk (torch.optim.AdamW([ straight ], 0.1)) straight gradients
              let first = torch.optim.AdamW([ broken ], 0.1)
              walk first broken (List.take 2 gradients) |> ignore
              use stream = new MemoryStream()
              use writer = new BinaryWriter(stream)
              first.save_state_dict writer
              writer.Flush()
              let second = torch.optim.AdamW([ broken ], 0.5)
              second.load_state_dict (new BinaryReader(new MemoryStream(stream.ToArray())))

              Expect.equal
                  (walk second broken (List.skip 2 gradients))
                  (List.skip 2 expected)
                  "the last two steps"
          }
          test "another optimizer's state is refused" {
              let p = parameter 1.0
              use stream = new MemoryStream()
              use writer = new BinaryWriter(stream)
              torch.optim.SGD([ p ], 0.1).save_state_dict writer
              writer.Flush()

              (fun () ->
                  torch.optim
                      .AdamW([ p ])
                      .load_state_dict(new BinaryReader(new MemoryStream(stream.ToArray()))))
              |> throwsWith<InvalidDataException>(fun message ->
                  says "AdamW" message
                  says "SGD" message)
          } ]

let private clipping =
    let withGradients (gradients: float list) =
        [ for gradient in gradients do
              let p = parameter 0.0
              p.grad <- vector [ gradient ]
              p ]

    let gradients (parameters: Parameter list) =
        [ for p in parameters -> nonNull(p.grad).item<float32>() |> float ]

    testList
        "clipping"
        [ test "clip_grad_norm_ returns the norm over all parameters and scales it down to the bound" {
              let parameters = withGradients [ 3.0; 4.0 ]
              let norm = torch.nn.utils.clip_grad_norm_ (parameters, 1.0)
              Expect.isLessThan (abs (norm - 5.0)) 1e-6 "norm"
              // The divisor is the norm plus 1e-6.
              gradients parameters |> isWalk [ 0.6; 0.8 ]
          }
          test "clip_grad_norm_ leaves smaller ones alone" {
              let parameters = withGradients [ 3.0; 4.0 ]
              torch.nn.utils.clip_grad_norm_ (parameters, 10.0) |> ignore
              Expect.equal (gradients parameters) [ 3.0; 4.0 ] "unchanged"
          }
          test "clip_grad_value_ bounds each" {
              let parameters = withGradients [ 3.0; -4.0 ]
              torch.nn.utils.clip_grad_value_ (parameters, 3.5)
              Expect.equal (gradients parameters) [ 3.0; -3.5 ] "bounded"
          } ]

let tests = testList "optimizers" [ steps; groups; states; clipping ]
