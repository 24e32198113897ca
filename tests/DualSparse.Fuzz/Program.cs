using System.CommandLine;
using DualSparse.Fuzz;

var iterations = new Option<long>("--iterations") { Description = "How many damaged inputs to try", DefaultValueFactory = _ => 200_000 };
var seed = new Option<int>("--seed") { Description = "Where the randomness starts; the same seed gives the same inputs", DefaultValueFactory = _ => 1 };
var first = new Option<long>("--first") { Description = "The first case's number: with --iterations 1, one case again", DefaultValueFactory = _ => 0 };
var target = new Option<string?>("--target") { Description = $"Only this one of {string.Join(", ", FuzzTargets.All.Select(t => t.Name))}" };
var root = new RootCommand("Feeds damaged model files to the readers: each must be read, or refused with a ModelFormatException, within bounds of memory.")
{
    iterations, seed, first, target,
};
root.SetAction(arguments => FuzzRun.Run(arguments.GetValue(iterations), arguments.GetValue(seed), arguments.GetValue(first), arguments.GetValue(target)));
return root.Parse(args).Invoke();
