using System.Text;
using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Engine.Serving;

namespace DualSparse.Cli.Commands;

/// <summary>What <c>generate</c> prints: the text as it comes, a line a token, or JSON at the end.</summary>
internal abstract class GenerateOutput
{
    /// <summary>The form that was asked for.</summary>
    public static GenerateOutput For(TextWriter output, MoeModel model, GenerationOptions options, bool json) =>
        json ? new JsonOutput(output, model, options) : options.LogProbs is null ? new TextOutput(output) : new LineOutput(output, model);

    /// <summary>Takes the next token.</summary>
    public abstract void Add(GeneratedToken token);

    /// <summary>Ends the output.</summary>
    public abstract void End(GenerationSummary summary, Session session);

    /// <summary>
    /// A token's text as it stands between quotes in JSON, its spaces whole; of a part of a character each byte, as <c>\xF0</c>, which JSON
    /// knows no meaning for.
    /// </summary>
    internal static string Quoted(ReadOnlySpan<byte> utf8)
    {
        var text = new StringBuilder();
        while (utf8.Length > 0)
        {
            bool whole = Rune.DecodeFromUtf8(utf8, out var rune, out int used) == System.Buffers.OperationStatus.Done;
            if (whole)
                text.Append(Figures.Quote(rune.ToString()));
            foreach (byte part in whole ? [] : utf8[..used])
                text.Append($"\\x{part:X2}");
            utf8 = utf8[used..];
        }

        return text.ToString();
    }

    private sealed class TextOutput(TextWriter output) : GenerateOutput
    {
        public override void Add(GeneratedToken token) => output.Write(token.Text);

        public override void End(GenerationSummary summary, Session session) => output.WriteLine();
    }

    // Tab-separated: id, log-probability, token; then id, log-probability and token of each alternative.
    private sealed class LineOutput(TextWriter output, MoeModel model) : GenerateOutput
    {
        public override void Add(GeneratedToken token)
        {
            var cells = token.Alternatives.Prepend(new TokenLogProb(token.Id, token.LogProb!.Value))
                .Select(t => $"{t.Id}\t{Figures.Show(t.LogProb, "0.0000")}\t\"{Quoted(model.Tokenizer.BytesOf(t.Id))}\"");
            output.Write(string.Join('\t', cells) + "\n");
        }

        public override void End(GenerationSummary summary, Session session)
        {
        }
    }

    private sealed class JsonOutput(TextWriter output, MoeModel model, GenerationOptions options) : GenerateOutput
    {
        private readonly StringBuilder text = new();
        private readonly List<object> tokens = [];

        public override void Add(GeneratedToken token)
        {
            text.Append(token.Text);
            tokens.Add(options.LogProbs is null ? new { token.Id, Text = Text(token.Id) } : new
            {
                token.Id,
                Text = Text(token.Id),
                Bytes = Bytes(token.Id),
                token.LogProb,
                Alternatives = token.Alternatives.Select(t => new { t.Id, Text = Text(t.Id), Bytes = Bytes(t.Id), t.LogProb }),
            });
        }

        public override void End(GenerationSummary summary, Session session) => output.WriteLine(JsonSerializer.Serialize(
            new
            {
                Text = text.ToString(),
                summary.Finish,
                Reason = Figures.End(model, summary, session),
                summary.StopString,
                summary.PromptTokens,
                summary.GeneratedTokens,
                summary.ContextTokens,
                ContextSize = session.ContextTokens,
                summary.PromptTokensPerSecond,
                summary.GenerationTokensPerSecond,
                summary.Seed,
                Dropped = session.Drop.IsNone ? (double?)null : session.Dropped.Rate,
                KlToExpect = session.Expected?.Kl,
                Weights = Figures.Name(model.Report.Weights),
                model.Report.Kernel,
                model.Report.Threads,
                LoadSeconds = model.Report.Seconds,
                Tokens = tokens,
            },
            Figures.Json));

        private string Text(int id) => Encoding.UTF8.GetString(model.Tokenizer.BytesOf(id));

        // As numbers: base 64 would hide them.
        private int[] Bytes(int id) => [.. model.Tokenizer.BytesOf(id).Select(b => (int)b)];
    }
}
