using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DualSparse.Benchmarking;

/// <summary>Results as a page of Markdown or as JSON, with the machine and the run.</summary>
internal sealed class ResultPage
{
    // Names of processors and systems have +, ' and the like, which need no escaping outside of HTML.
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly StringBuilder text = new();

    /// <summary>Begins a page.</summary>
    /// <param name="title">The heading.</param>
    /// <param name="command">The command that made it.</param>
    /// <param name="machine">The machine.</param>
    public ResultPage(string title, string command, MachineFacts machine) =>
        text.Append($"# {title}\n\n{machine}. `{command}`\n");

    /// <summary>Adds one run's table.</summary>
    /// <param name="run">The run.</param>
    /// <param name="notes">Further notes before the table.</param>
    /// <param name="columns">The headings.</param>
    /// <param name="rows">The cells, in each row as many as headings.</param>
    public void Add(RunFacts run, IEnumerable<string> notes, IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        text.Append($"\n**{run.Heading}**  \n{run.Ceilings}");
        foreach (string note in notes)
            text.Append($"; {note}");
        text.Append("\n\n");
        Row(columns);
        Row([.. columns.Select(_ => "---")]);
        foreach (var row in rows)
            Row(row);
    }

    /// <summary>Writes the page; an existing file is replaced only once the new one is complete.</summary>
    /// <exception cref="IOException">It can't be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    public void Save(string path)
    {
        string target = Path.GetFullPath(path), fresh = target + ".new";
        try
        {
            File.WriteAllText(fresh, text.ToString());
            File.Move(fresh, target, overwrite: true);
        }
        catch
        {
            File.Delete(fresh);
            throw;
        }
    }

    /// <summary>The page.</summary>
    public override string ToString() => text.ToString();

    /// <summary>An array with an object for each result: its own fields, the run's and the machine's.</summary>
    public static string ToJson<T>(MachineFacts machine, RunFacts run, IEnumerable<T> results)
    {
        var rows = new JsonArray();
        foreach (var result in results)
        {
            var row = JsonSerializer.SerializeToNode(result, Json)!.AsObject();
            foreach (object facts in new object[] { run, machine })
            {
                foreach (var (name, value) in JsonSerializer.SerializeToNode(facts, Json)!.AsObject())
                {
                    if (value is JsonValue)
                        row[name] = value.DeepClone();
                }
            }

            rows.Add(row);
        }

        return rows.ToJsonString(Json);
    }

    private void Row(IEnumerable<string> cells) => text.Append($"| {string.Join(" | ", cells)} |\n");
}
