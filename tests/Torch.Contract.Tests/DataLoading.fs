/// Data sets and the batches that loaders make of them.
module LocalAttention.Tests.DataLoading

open System
open System.Collections.Generic
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

/// Item i holds the number i and a pair of its double.
type Counting(count: int64) =
    inherit torch.utils.data.Dataset()
    override _.Count = count

    override _.GetTensor(index: int64) =
        Dictionary(
            dict
                [ "number", torch.tensor index
                  "pair", torch.full (2L, scalar (2.0 * float index)) ]
        )

let private numbersOf (loader: Modules.DataLoader) =
    [ for batch in loader -> elements batch["number"] ]

let private batches =
    testList
        "batches"
        [ test "stack the items by key, the last one may be short" {
              use loader = torch.utils.data.DataLoader(new Counting(5L), 2)
              Expect.equal (numbersOf loader) [ [ 0.0; 1.0 ]; [ 2.0; 3.0 ]; [ 4.0 ] ] "numbers"
              Expect.equal loader.Count 3L "count"

              Expect.equal
                  [ for batch in loader -> shape batch["pair"] ]
                  [ [ 2L; 2L ]; [ 2L; 2L ]; [ 1L; 2L ] ]
                  "shapes"
          }
          test "drop_last leaves the short one out" {
              use loader = torch.utils.data.DataLoader(new Counting(5L), 2, drop_last = true)
              Expect.equal (numbersOf loader, loader.Count) ([ [ 0.0; 1.0 ]; [ 2.0; 3.0 ] ], 2L) "numbers"
          }
          test "several workers keep the order" {
              use loader = torch.utils.data.DataLoader(new Counting(9L), 4, num_worker = 3)

              Expect.equal
                  (numbersOf loader)
                  [ [ 0.0; 1.0; 2.0; 3.0 ]; [ 4.0; 5.0; 6.0; 7.0 ]; [ 8.0 ] ]
                  "numbers"
          }
          test "a batch is disposed when the next one comes, unless asked otherwise" {
              let kept disposes =
                  use loader =
                      torch.utils.data.DataLoader(new Counting(4L), 2, disposeBatch = disposes)

                  let batches = [ for batch in loader -> batch["number"] ]
                  [ for batch in batches -> not batch.IsInvalid ]

              Expect.equal (kept true) [ false; false ] "disposed"
              Expect.equal (kept false) [ true; true ] "kept"
          }
          test "a set of tensors gives one tensor of each" {
              let set = torch.utils.data.TensorDataset(counting [ 3L; 2L ], wholes [ 7L; 8L; 9L ])
              use loader = torch.utils.data.DataLoader(set, 2)
              let seen = [ for batch in loader -> shape batch[0], elements batch[1] ]
              Expect.equal seen [ [ 2L; 2L ], [ 7.0; 8.0 ]; [ 1L; 2L ], [ 9.0 ] ] "batches"
          } ]

let private shuffling =
    testList
        "shuffling"
        [ test "visits every item once" {
              use loader = torch.utils.data.DataLoader(new Counting(20L), 3, shuffle = true)
              let numbers = List.concat (numbersOf loader)
              Expect.equal (List.sort numbers) [ 0.0 .. 19.0 ] "all"
          }
          test "by a seed is the same each time, and another by another seed" {
              let order seed =
                  use loader =
                      torch.utils.data.DataLoader(new Counting(20L), 20, shuffle = true, seed = Nullable seed)

                  numbersOf loader

              Expect.equal (order 1) (order 1) "the same"
              Expect.notEqual (order 1) (order 2) "another"
              Expect.notEqual (order 1) [ [ 0.0 .. 19.0 ] ] "not in order"
          }
          test "by a seed is TorchSharp's order" {
              use loader =
                  torch.utils.data.DataLoader(new Counting(8L), 8, shuffle = true, seed = Nullable 1)
              // Fisher and Yates inside out, with System.Random.
              let random = Random 1
              let order = Array.zeroCreate<int64> 8

              for i in 0L .. 7L do
                  let high, low = int64 (random.Next()), int64 (uint32 (random.Next()))
                  let j = ((high <<< 32) + low) % (i + 1L)
                  order[int i] <- order[int j]
                  order[int j] <- i

              Expect.equal (numbersOf loader) [ [ for item in order -> float item ] ] "order"
          }
          test "an order of one's own" {
              use loader = torch.utils.data.DataLoader(new Counting(4L), 2, [ 3L; 1L; 0L; 2L ])
              Expect.equal (numbersOf loader) [ [ 3.0; 1.0 ]; [ 0.0; 2.0 ] ] "numbers"
          } ]

let tests = testList "data loading" [ batches; shuffling ]
