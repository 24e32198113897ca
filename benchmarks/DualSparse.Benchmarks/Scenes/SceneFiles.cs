using DualSparse.Benchmarks.Scenes.Statements;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>The files of drawn scenes.</summary>
/// <param name="seed">The seed of everything.</param>
/// <param name="report">Is told of what was written.</param>
internal sealed class SceneFiles(ulong seed, TextWriter report)
{
    // Records a file.
    private const int Shard = 20_000;

    // Of so many records one has questions instead of sentences.
    private const int Questioned = 2;

    /// <summary>Writes train/scenes-….jsonl and a test for each kind, test/scenes_….jsonl.</summary>
    /// <param name="train">The folder for what is trained on.</param>
    /// <param name="test">The folder for what is tested.</param>
    /// <param name="records">Pictures to train on.</param>
    /// <param name="items">Items of each kind's test.</param>
    public void Write(string train, string test, int records, int items)
    {
        var tests = Enum.GetValues<StatementKind>().ToDictionary(kind => kind, kind => SceneTest.Draw(seed, kind, items));
        foreach (var (kind, drawn) in tests)
        {
            using var file = File.Create(Path.Combine(test, $"scenes_{Subject.Name(kind)}.jsonl"));
            foreach (var (scene, statement) in drawn)
                JsonLines.WriteItem(file, scene.Picture(), statement.Text, ["true", "false"], statement.IsTrue ? 0 : 1);
        }

        var source = new SceneTraining(seed, tests.Values.SelectMany(drawn => drawn).Select(item => item.Scene).Append(SceneSample.Draw(seed)));
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
                var answers = statements.Select(statement => new Turn(statement.Text, statement.IsTrue ? " true" : " false"));
                // Never both, as one would tell the other's answer.
                JsonLines.WriteRecord(file, scene.Picture(), i % Questioned == 0 ? SceneQuestions.Of(scene, new SceneRandom(seed, SceneStream.Questions, i)) : answers);
            }

            report.WriteLine($"{Math.Min(records, (shard + 1) * Shard)} records of {records}, {turns} sentences, {trues} true");
        }

        foreach (var (kind, drawn) in tests)
        {
            var (sentence, number, both) = guessed.Share(drawn);
            report.WriteLine($"{Subject.Name(kind)}: {drawn.Length} items, {drawn.Count(item => item.Statement.IsTrue)} true; guessed from the sentence {sentence:P1}, from the number of items {number:P1}, from both {both:P1}");
        }
    }
}
