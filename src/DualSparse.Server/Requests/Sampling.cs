using System.Globalization;
using DualSparse.Engine;
using DualSparse.Engine.Serving;

namespace DualSparse.Server;

/// <summary>How a request wants its text generated; what it doesn't say is as the checkpoint recommends.</summary>
internal static class Sampling
{
    // Beyond it every token is as probable as the others.
    private const double MaxTemperature = 100;

    // The fields of generation_config.json that a request's stand for, which may then hold anything.
    private static readonly (string Field, string[] StandsFor)[] s_fields =
    [
        ("temperature", ["temperature", "do_sample"]), ("top_k", ["top_k"]), ("top_p", ["top_p"]), ("min_p", ["min_p"]),
        ("repetition_penalty", ["repetition_penalty"]), ("stop", ["stop_strings"]), ("max_tokens", ["max_new_tokens"]), ("max_completion_tokens", ["max_new_tokens"]),
    ];

    /// <summary>Reads a request's fields.</summary>
    /// <param name="body">The request.</param>
    /// <param name="model">The model.</param>
    /// <param name="logProbs">As <see cref="GenerationOptions.LogProbs"/>.</param>
    /// <param name="least">The fewest tokens that it may ask for.</param>
    /// <param name="most">The most tokens where it says nothing; null: as the checkpoint says.</param>
    public static GenerationOptions Read(BodyField body, MoeModel model, int? logProbs, int least, int? most)
    {
        var said = s_fields.Where(f => !body[f.Field].IsNull).SelectMany(f => f.StandsFor);
        float? temperature = (float?)body["temperature"].Number(0, MaxTemperature);
        // Of the best token always, what picks among others says nothing.
        var options = GenerationOptions.From(model.Config.Generation, [.. said, .. temperature == 0 ? ["top_k", "top_p", "min_p"] : Array.Empty<string>()], temperature);
        int? tokens = body["max_completion_tokens"].Int(least, int.MaxValue) ?? body["max_tokens"].Int(least, int.MaxValue);
        return options with
        {
            MaxTokens = tokens ?? most ?? options.MaxTokens,
            Temperature = temperature ?? options.Temperature,
            // −1 is other servers' word for all.
            TopK = body["top_k"].Int(-1, int.MaxValue) is { } k ? Math.Max(0, k) : options.TopK,
            TopP = (float?)body["top_p"].Number(0, 1) ?? options.TopP,
            MinP = (float?)body["min_p"].Number(0, 1) ?? options.MinP,
            RepetitionPenalty = (float?)body["repetition_penalty"].Number(1e-6, 1e6) ?? options.RepetitionPenalty,
            FrequencyPenalty = (float?)body["frequency_penalty"].Number(-2, 2) ?? 0,
            PresencePenalty = (float?)body["presence_penalty"].Number(-2, 2) ?? 0,
            LogitBias = Bias(body["logit_bias"], model.Config.VocabSize),
            Seed = body["seed"].Bits(),
            StopStrings = [.. options.StopStrings, .. Stops(body["stop"])],
            EosIds = body["ignore_eos"].Flag(false) ? [] : options.EosIds,
            LogProbs = logProbs,
        };
    }

    private static Dictionary<int, float>? Bias(BodyField field, int vocabulary)
    {
        if (field.IsNull || field.IsEmpty)
            return null;
        Dictionary<int, float> bias = [];
        foreach (var (token, value) in field.Fields())
        {
            if (!int.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= vocabulary)
                throw Errors.Invalid($"the request: 'logit_bias' names the token '{Models.JsonField.Shorten(token)}', expected an id below {vocabulary}", "logit_bias");
            bias[id] = (float)(value.Number(-100, 100) ?? throw value.Expected("a number from -100 to 100"));
        }

        return bias.Count <= Limits.LogitBiases ? bias : throw Errors.Invalid($"the request: 'logit_bias' has {bias.Count} tokens, expected at most {Limits.LogitBiases}", "logit_bias");
    }

    private static IEnumerable<string> Stops(BodyField stop)
    {
        if (stop.IsNull)
            return [];
        if (!stop.IsText && !stop.IsList)
            throw stop.Expected("a string or an array of strings");
        IReadOnlyList<BodyField> all = stop.IsText ? [stop] : stop.Items();
        return all.Count <= Limits.Stops ? [.. all.Select(Stop)] : throw Errors.Invalid($"the request: 'stop' has {all.Count} texts, expected at most {Limits.Stops}", "stop");
    }

    private static string Stop(BodyField stop) =>
        stop.AsText() is { Length: > 0 and <= Limits.StopLength } text ? text : throw stop.Expected($"a text of 1 to {Limits.StopLength} characters");
}
