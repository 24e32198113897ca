using System.Globalization;
using DualSparse.Benchmarks.Scenes.Statements;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>Draws what the small vision-language model is trained and tested on.</summary>
internal static class ScenesCommand
{
    private const string Usage = "usage: scenes OUT [--seed N] [--records N] [--items N] [--nlvr FOLDER] [--emoji FOLDER]";

    private const int Shard = 20_000;

    /// <summary>Writes train/scenes-….jsonl and test/scenes_….jsonl.</summary>
    public static int Run(string[] args)
    {
        if (args is not [var output, .. var rest] || Options(rest) is not { } options)
        {
            Console.Error.WriteLine(Usage);
            return 1;
        }

        ulong seed = ulong.Parse(options.GetValueOrDefault("--seed", "18"), CultureInfo.InvariantCulture);
        int records = int.Parse(options.GetValueOrDefault("--records", "150000"), CultureInfo.InvariantCulture), items = int.Parse(options.GetValueOrDefault("--items", "2000"), CultureInfo.InvariantCulture);
        string train = Directory.CreateDirectory(Path.Combine(output, "train")).FullName, test = Directory.CreateDirectory(Path.Combine(output, "test")).FullName;
        Console.WriteLine($"seed {seed}");
        var tests = Enum.GetValues<StatementKind>().ToDictionary(kind => kind, kind => SceneTest.Draw(seed, kind, items));
        foreach (var (kind, drawn) in tests)
        {
            using var file = File.Create(Path.Combine(test, $"scenes_{Subject.Name(kind)}.jsonl"));
            foreach (var (scene, statement) in drawn)
                JsonLines.WriteItem(file, scene.Picture(), statement.Text, ["true", "false"], statement.IsTrue ? 0 : 1);
        }

        var source = new SceneTraining(seed, tests.Values.SelectMany(drawn => drawn).Select(item => item.Scene));
        var guessed = new GuessedTruth();
        long turns = 0, trues = 0;
        for (int shard = 0; shard * Shard < records; shard++)
        {
            using var file = File.Create(Path.Combine(train, $"scenes-{shard:00}.jsonl"));
            for (int i = shard * Shard; i < Math.Min(records, (shard + 1) * Shard); i++)
            {
                var (scene, statements) = source.Next();
                foreach (var statement in statements)
                    guessed.See(scene, statement);
                turns += statements.Count;
                trues += statements.Count(statement => statement.IsTrue);
                JsonLines.WriteRecord(file, scene.Picture(), statements.Select(statement => new Turn(statement.Text, statement.IsTrue ? " true" : " false")));
            }

            Console.WriteLine($"{Math.Min(records, (shard + 1) * Shard)} records of {records}, {turns} sentences, {trues} true");
        }

        foreach (var (kind, drawn) in tests)
        {
            var (sentence, number, both) = guessed.Share(drawn);
            Console.WriteLine($"{Subject.Name(kind)}: {drawn.Length} items, {drawn.Count(item => item.Statement.IsTrue)} true; guessed from the sentence {sentence:P1}, from the number of items {number:P1}, from both {both:P1}");
        }

        return 0;
    }

    private static Dictionary<string, string>? Options(string[] words)
    {
        Dictionary<string, string> options = [];
        for (int i = 0; i + 1 < words.Length; i += 2)
            options[words[i]] = words[i + 1];
        return words.Length % 2 == 0 && options.Keys.All(Usage.Contains) ? options : null;
    }
}
