using DualSparse.Benchmarks.Scenes;
using DualSparse.Benchmarks.Scenes.Statements;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Scenes;

/// <summary>Nothing but the picture tells what is true.</summary>
public class SceneBalanceTests
{
    private const ulong Seed = 3;

    private static readonly StatementKind[] s_kinds = Enum.GetValues<StatementKind>();

    [Fact]
    public void A_test_has_each_sentence_as_often_true_as_false_with_as_many_items()
    {
        foreach (var kind in s_kinds)
        {
            var test = SceneTest.Draw(Seed, kind, 200);
            Assert.Equal(200, test.Length);
            foreach (var same in test.GroupBy(item => (item.Statement.Text, item.Scene.Items.Count)))
                Assert.Equal(same.Count(item => item.Statement.IsTrue), same.Count(item => !item.Statement.IsTrue));
            Assert.Equal(test.Length, test.Select(item => item.Scene).Distinct().Count());
        }
    }

    [Fact]
    public void What_is_trained_on_is_balanced_and_has_kinds_in_equal_shares()
    {
        var records = Records(800, []);
        var sentences = records.SelectMany(record => record.Statements.Select(statement => (statement, record.Scene.Items.Count))).ToList();
        foreach (var same in sentences.GroupBy(sentence => (sentence.statement.Text, sentence.Count)))
            Assert.InRange(same.Sum(sentence => sentence.statement.IsTrue ? 1 : -1), -1, 1);
        Assert.InRange(sentences.Count(sentence => sentence.statement.IsTrue) / (double)sentences.Count, 0.48, 0.52);
        Assert.InRange(sentences.Count / (double)records.Count, 7, SceneTraining.Turns);
        int[] kinds = [.. sentences.GroupBy(sentence => Kind(sentence.statement.Topic)).Select(kind => kind.Count())];
        Assert.Equal(s_kinds.Length, kinds.Length);
        Assert.InRange(kinds.Max() - kinds.Min(), 0, 0.01 * sentences.Count);
        // Of one record no two sentences speak of the same.
        Assert.All(records, record => Assert.Equal(record.Statements.Count, record.Statements.Select(statement => statement.Topic).Distinct().Count()));
    }

    [Fact]
    public void Without_the_picture_half_is_guessed()
    {
        var tests = s_kinds.Select(kind => SceneTest.Draw(Seed, kind, 200)).ToList();
        var guessed = new GuessedTruth();
        foreach (var (scene, statements) in Records(800, tests.SelectMany(test => test).Select(item => item.Scene)))
        {
            foreach (var statement in statements)
                guessed.See(scene, statement);
        }

        foreach (var test in tests)
        {
            var (sentence, items, both) = guessed.Share(test);
            Assert.InRange(sentence, 0, 0.53);
            Assert.InRange(items, 0, 0.53);
            Assert.InRange(both, 0, 0.53);
        }
    }

    [Fact]
    public void Sentences_that_tell_their_truth_are_found()
    {
        var guessed = new GuessedTruth();
        List<SceneTestItem> leaking = [];
        for (int i = 0; leaking.Count < 200; i++)
        {
            var random = new SceneRandom(Seed, SceneStream.Sample, i);
            var scene = new SceneGenerator(random).Draw();
            // As if a sentence about circles were always true, and no other.
            if (ExistenceStatement.Draw(scene, random) is { } statement && statement.IsTrue == statement.Text.Contains("circle", StringComparison.Ordinal))
                leaking.Add(new SceneTestItem(scene, statement));
        }

        foreach (var (scene, statement) in leaking.Take(150))
            guessed.See(scene, statement);
        Assert.InRange(guessed.Share(leaking[150..]).Sentence, 0.8, 1);
    }

    [Fact]
    public void No_scene_is_both_trained_on_and_tested()
    {
        var plain = Records(50, []);
        var held = plain.Where((_, i) => i % 2 == 0).Select(record => record.Scene).ToList();
        var apart = Records(50, held);
        Assert.Empty(apart.Select(record => record.Scene.Layout).Intersect(held.Select(scene => scene.Layout)));
        Assert.Contains(plain[1].Scene.Layout, apart.Select(record => record.Scene.Layout));
    }

    [Fact]
    public void Most_of_a_prompt_is_vision()
    {
        // A picture of 128 × 32 pixels in squares of 8 × 8, and the marks around it.
        const int vision = 64 + 2;
        var tokenizer = Tokenizer.Load(TestPaths.Model);
        int[] lengths = [.. Records(200, []).SelectMany(record => record.Statements).Select(statement => tokenizer.Encode(statement.Text, addSpecial: false, allowSpecial: false).Length)];
        Assert.InRange(lengths.Average(), 5, 12);
        Assert.InRange(vision / (double)(vision + lengths.Max()), 0.7, 1);
        Assert.Single(tokenizer.Encode(" true", addSpecial: false, allowSpecial: false));
        Assert.Single(tokenizer.Encode(" false", addSpecial: false, allowSpecial: false));
    }

    private static List<SceneRecord> Records(int count, IEnumerable<Scene> tests)
    {
        var source = new SceneTraining(Seed, tests);
        return [.. Enumerable.Range(0, count).Select(_ => source.Next())];
    }

    private static string Kind(string topic) => topic.Split(' ')[0] switch
    {
        "is" => "existence",
        "count" => "count",
        "more" => "comparison",
        "in" or "beside" => "position",
        _ => "touching",
    };
}
