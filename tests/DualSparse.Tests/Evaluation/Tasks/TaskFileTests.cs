using DualSparse.Evaluation.Tasks;
using DualSparse.Models;

namespace DualSparse.Tests.Evaluation.Tasks;

public sealed class TaskFileTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dualsparse-tasks-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("lambada", """{"context": "She saw the", "target": "dog"}""", "She saw the| dog")]
    [InlineData("blimp", """{"good": "He goes.", "bad": "He go."}""", "|He goes.", "|He go.")]
    [InlineData("piqa", """{"query": "How?", "choices": ["so ", "thus"], "gold": 0}""", "Question: How?\nAnswer:| so ", "Question: How?\nAnswer:| thus")]
    [InlineData("sciq", """{"query": "Who?", "choices": ["I", "you"], "gold": 0}""", "Question: Who?\nAnswer:| I", "Question: Who?\nAnswer:| you")]
    [InlineData("arc_easy", """{"query": "Q", "choices": ["a", "b"], "gold": 0}""", "Q| a", "Q| b")]
    [InlineData("arc_challenge", """{"query": "Q", "choices": ["a", "b"], "gold": 0}""", "Q| a", "Q| b")]
    [InlineData("openbookqa", """{"query": "Q", "choices": ["a", "b"], "gold": 0}""", "Q| a", "Q| b")]
    [InlineData("hellaswag", """{"query": "Q", "choices": ["a", "b"], "gold": 0}""", "Q| a", "Q| b")]
    [InlineData("winogrande", """{"sentence": "Ann met Eve, so _ left.", "choices": ["Ann", "Eve"], "gold": 0}""", "Ann met Eve, so Ann| left.", "Ann met Eve, so Eve| left.")]
    [InlineData("boolq", """{"passage": "P.", "question": "is it", "choices": ["no", "yes"], "gold": 0}""", "P.\nQuestion: is it?\nAnswer:| no", "P.\nQuestion: is it?\nAnswer:| yes")]
    [InlineData("mmlu", """{"subject": "abstract_algebra", "query": " 1+1?", "choices": ["2", "3"], "gold": 0}""",
        "The following are multiple choice questions (with answers) about abstract algebra.\n\n1+1?\nA. 2\nB. 3\nAnswer:| A",
        "The following are multiple choice questions (with answers) about abstract algebra.\n\n1+1?\nA. 2\nB. 3\nAnswer:| B")]
    public void Every_tasks_rows_become_candidates(string task, string row, params string[] expected)
    {
        Write($"{task}.jsonl", row, "");
        var set = TaskFile.Read(folder, task);
        var item = Assert.Single(set.Items);
        Assert.Equal(expected, item.Candidates.Select(c => $"{c.Context}|{c.Continuation}"));
        Assert.Equal(0, item.Gold);
    }

    [Fact]
    public void Every_task_has_a_case_above() =>
        Assert.Equal(11, TaskFile.Named("all", folder).Count);

    [Fact]
    public void A_limit_takes_the_first_rows_and_of_blimp_rows_at_even_distances()
    {
        Write("lambada.jsonl", [.. Enumerable.Range(0, 10).Select(i => $$"""{"context": "c", "target": "{{i}}"}""")]);
        Write("blimp.jsonl", [.. Enumerable.Range(0, 10).Select(i => $$"""{"good": "{{i}}", "bad": "b"}""")]);
        Assert.Equal([" 0", " 1", " 2"], First("lambada", 3));
        Assert.Equal(["0", "4", "8"], First("blimp", 3));
        Assert.Equal(10, First("blimp", null).Length);
        Assert.Equal(10, First("lambada", 99).Length);

        string[] First(string task, int? limit) => [.. TaskFile.Read(folder, task, limit).Items.Select(i => i.Candidates[0].Continuation)];
    }

    [Theory]
    [InlineData("""{"query": "Q", "choices": ["a", "b"]""", "line 2: it is not valid JSON (line 1, byte 36): it ends before its JSON does; is it cut off?")]
    [InlineData("[1]", "line 2: the top level is [1], expected an object")]
    [InlineData("""{"choices": ["a", "b"], "gold": 0}""", "line 2: 'query' is missing, expected a string")]
    [InlineData("""{"query": 7, "choices": ["a", "b"], "gold": 0}""", "line 2: 'query' is 7, expected a string")]
    [InlineData("""{"query": "\ud800", "choices": ["a", "b"], "gold": 0}""", "line 2: 'query' is \"\\ud800\", which is no valid text")]
    [InlineData("""{"query": "Q", "choices": ["a"], "gold": 0}""", "line 2: 'choices' is [\"a\"], expected a list of two texts or more")]
    [InlineData("""{"query": "Q", "choices": ["a", null], "gold": 0}""", "line 2: 'choices[1]' is null, expected a string")]
    [InlineData("""{"query": "Q", "choices": ["a", "b"], "gold": 2}""", "line 2: 'gold' is 2, expected a whole number from 0 to 1")]
    public void A_damaged_line_is_one_sentence(string line, string expected)
    {
        Write("piqa.jsonl", """{"query": "Q", "choices": ["a", "b"], "gold": 0}""", line);
        var e = Assert.Throws<ModelFormatException>(() => TaskFile.Read(folder, "piqa"));
        Assert.Equal($"{Path.Combine(folder, "piqa.jsonl")}: {expected}", e.Message);
    }

    [Fact]
    public void A_gap_must_be_there_once()
    {
        Write("winogrande.jsonl", """{"sentence": "Ann left _", "choices": ["a", "b"], "gold": 0}""");
        Assert.EndsWith("expected one '_' with text after it", Assert.Throws<ModelFormatException>(() => TaskFile.Read(folder, "winogrande")).Message);
    }

    [Fact]
    public void Missing_and_empty_files_are_said()
    {
        Assert.EndsWith("has neither piqa.jsonl nor piqa.jsonl.xz", Assert.Throws<ModelFormatException>(() => TaskFile.Read(folder, "piqa")).Message);
        Assert.Contains("there is no such folder", Assert.Throws<ModelFormatException>(() => TaskFile.Read(Path.Combine(folder, "none"), "piqa")).Message);
        Write("piqa.jsonl", "");
        Assert.EndsWith("holds no row", Assert.Throws<ModelFormatException>(() => TaskFile.Read(folder, "piqa")).Message);
        Assert.StartsWith("there is no task 'pica', expected all or some of lambada, blimp", Assert.Throws<ArgumentException>(() => TaskFile.Named("piqa,pica", folder)).Message);
    }

    [Fact]
    public void Xz_reads_as_it_was_and_damaged_xz_is_one_sentence()
    {
        byte[] xz = Convert.FromBase64String(XzRow);
        string file = Path.Combine(folder, "piqa.jsonl.xz");
        File.WriteAllBytes(file, xz);
        Assert.Equal(" thus", TaskFile.Read(folder, "piqa").Items.Single().Candidates[1].Continuation);
        for (int at = 0; at < xz.Length; at++)
        {
            File.WriteAllBytes(file, xz[..at]);
            Assert.StartsWith(file, Assert.Throws<ModelFormatException>(() => TaskFile.Read(folder, "piqa")).Message);
        }
    }

    [Fact]
    public void Length_counts_code_points_without_the_leading_space()
    {
        Assert.Equal(3, new TaskCandidate("", " aé😀").Characters);
        Assert.Equal(2, new TaskCandidate("", "ab").Characters);
        Assert.Equal(2, new TaskCandidate("", "  b").Characters);
    }

    private void Write(string name, params string[] lines) => File.WriteAllLines(Path.Combine(folder, name), lines);

    // {"query": "How?", "choices": ["so", "thus"], "gold": 0}
    private const string XzRow = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQA3eyJxdWVyeSI6ICJIb3c/IiwgImNob2ljZXMiOiBbInNvIiwgInRodXMiXSwgImdvbGQiOiAwfQoAfBWNP8Xf1sIAAVA44VA/sh+2830BAAAAAARZWg==";
}
