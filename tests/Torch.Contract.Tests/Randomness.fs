/// Seeds and generators; threads.
module LocalAttention.Tests.Randomness

open System
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private draws () =
    [ elements (torch.rand 4L)
      elements (torch.randn 4L)
      elements (torch.randperm 6L)
      elements (torch.randint (10L, [| 4L |])) ]

let private seeds =
    testList
        "seeds"
        [ test "the same seed draws the same, another something else" {
              let from (seed: int64) =
                  torch.manual_seed seed |> ignore
                  draws ()

              let first = from 3L
              Expect.equal (from 3L) first "the same"
              Expect.notEqual (from 4L) first "another"
          }
          test "drawing goes on" {
              torch.manual_seed 3L |> ignore
              Expect.notEqual (draws ()) (draws ()) "twice"
          }
          test "seed 0 draws what libtorch draws" {
              torch.manual_seed 0L |> ignore
              torch.rand 3L |> holdsNearly 1 [ 3L ] [ 0.496256590; 0.768221796; 0.088477433 ]
              torch.manual_seed 0L |> ignore

              torch.randn 3L
              |> holdsNearly 4 [ 3L ] [ 1.540996074; -0.293428898; -2.178789377 ]
          }
          test "a generator's state can be kept and restored" {
              let state = torch.random.get_rng_state ()
              let first = draws ()
              torch.random.set_rng_state state
              Expect.equal (draws ()) first "restored"
          }
          test "layers draw from the seed too" {
              let fresh () =
                  torch.manual_seed 5L |> ignore
                  elements (torch.nn.Linear(3L, 3L).weight)

              Expect.equal (fresh ()) (fresh ()) "weights"
          } ]

let private generators =
    testList
        "generators"
        [ test "one of one's own draws from its seed and leaves the common one alone" {
              torch.manual_seed 1L |> ignore
              let expected = elements (torch.rand 4L)
              torch.manual_seed 1L |> ignore
              use own = new torch.Generator(7UL)
              let first = elements (torch.rand (4L, generator = own))
              Expect.equal (elements (torch.rand 4L)) expected "the common one"
              own.manual_seed 7L |> ignore
              Expect.equal (elements (torch.rand (4L, generator = own))) first "again"
          }
          test "says its seed, keeps its state" {
              use own = new torch.Generator(7UL)
              Expect.equal (own.initial_seed ()) 7L "seed"
              let state = own.get_state ()
              let first = elements (torch.randperm (8L, generator = own))
              own.set_state state
              Expect.equal (elements (torch.randperm (8L, generator = own))) first "restored"
          }
          test "fill existing tensors" {
              use own = new torch.Generator(7UL)
              let target = torch.zeros 1000L
              target.uniform_ (2.0, 3.0, own) |> ignore
              Expect.all (elements target) (fun v -> 2.0 <= v && v <= 3.0) "uniform"
              target.bernoulli_ (1.0, own) |> holds [ 1000L ] (List.replicate 1000 1.0)
          } ]

let private draw =
    testList
        "distributions"
        [ test "rand is in [0, 1), randint below its bound, randperm a permutation" {
              Expect.all (elements (torch.rand 1000L)) (fun v -> 0.0 <= v && v < 1.0) "rand"

              Expect.equal
                  (elements (torch.randint (2L, 5L, [| 1000L |])) |> List.distinct |> List.sort)
                  [ 2.0; 3.0; 4.0 ]
                  "randint"

              Expect.equal (elements (torch.randperm 50L) |> List.sort) [ 0.0 .. 49.0 ] "randperm"
              Expect.equal (torch.randperm(3L).dtype) torch.int64 "dtype"
          } ]

let private threads =
    testList
        "threads"
        [ test "their number can be set" {
              let before = torch.get_num_threads ()

              try
                  torch.set_num_threads 1
                  Expect.equal (torch.get_num_threads ()) 1 "set"
              finally
                  torch.set_num_threads before

              Expect.equal (torch.get_num_threads ()) before "back"
          }
          test "it does not change a product" {
              let before = torch.get_num_threads ()
              torch.manual_seed 2L |> ignore
              let a = torch.randn (64L, 64L)
              let many = a.mm a

              try
                  torch.set_num_threads 1
                  // Sums of 64 products in another order.
                  a.mm a |> isNearly 64 many
              finally
                  torch.set_num_threads before
          }
          test "tensors may be made, used and dropped on many threads at once" {
              let work seed =
                  let mutable sum = 0.0

                  for index in 1..200 do
                      use x = torch.full (8L, scalar (float (seed + index)))
                      sum <- sum + (x * 2.0).sum().ToDouble()

                  sum

              let seeds = [| 1..8 |]
              Expect.equal (Array.Parallel.map work seeds) (Array.map work seeds) "sums"
          } ]

let tests = testList "randomness and threads" [ seeds; generators; draw; threads ]
