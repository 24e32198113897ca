using DualSparse.Benchmarks.Scenes.Statements;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>
/// What is right without looking at the picture: whoever knows, from all records to train on, how often what he is told was true. It must be about
/// the half.
/// </summary>
internal sealed class GuessedTruth
{
    private readonly Dictionary<string, int> balance = [];

    /// <summary>Sees what is trained on.</summary>
    public void See(Scene scene, Statement statement)
    {
        foreach (string told in Told(scene, statement))
            balance[told] = balance.GetValueOrDefault(told) + (statement.IsTrue ? 1 : -1);
    }

    /// <summary>The share of right guesses: from the sentence, from the number of items, from both. What was balanced or never seen counts as half right.</summary>
    public (double Sentence, double Items, double Both) Share(IReadOnlyCollection<SceneTestItem> test)
    {
        double[] right = new double[3];
        foreach (var (scene, statement) in test)
        {
            int i = 0;
            foreach (string told in Told(scene, statement))
            {
                int value = balance.GetValueOrDefault(told);
                right[i++] += value == 0 ? 0.5 : value > 0 == statement.IsTrue ? 1 : 0;
            }
        }

        return (right[0] / test.Count, right[1] / test.Count, right[2] / test.Count);
    }

    private static string[] Told(Scene scene, Statement statement) => [statement.Text, $"{scene.Items.Count}", $"{scene.Items.Count} {statement.Text}"];
}
