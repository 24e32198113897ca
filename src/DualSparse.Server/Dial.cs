using System.Globalization;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Server.Protocol;
using Microsoft.AspNetCore.Http;

namespace DualSparse.Server;

/// <summary>
/// What a request drops: by its own fields, else by its header, else by the model's id that it uses, else as the server was started. The loss to
/// expect is known before the first token.
/// </summary>
internal sealed class Dial
{
    /// <summary>Sets the share to drop, and comes back with it.</summary>
    public const string DropHeader = "X-DualSparse-Drop";

    /// <summary>Comes back with the KL to expect, in nats a token.</summary>
    public const string ExpectedHeader = "X-DualSparse-Expected-KL";

    // Nothing dropped, nothing lost.
    private static readonly ExpectedLoss s_none = new(new Interval(0, 0, 0), new Interval(0, 0, 0), new Interval(0, 0, 0));

    private readonly MoeModel model;
    private readonly string name;
    private readonly OrderedDictionary<string, DropRequest> ids = [];

    /// <summary>The dial of a model under its ids.</summary>
    public Dial(MoeModel model, string name, ServerOptions options)
    {
        (this.model, this.name) = (model, name);
        ids.Add(name, model.Transformer.Drop.Request);
        foreach (var (alias, request) in options.Aliases)
        {
            // Without a dualsparse.json there may be no thresholds for an alias that nobody asked for: then there is no such alias.
            if (Fits(request))
                ids.Add($"{name}:{alias}", request);
        }
    }

    /// <summary>Every id.</summary>
    public IEnumerable<string> Ids => ids.Keys;

    /// <summary>The id that a request means: none is the model's own.</summary>
    /// <exception cref="ApiException">There is no such model.</exception>
    public string Id(string? asked) => asked is null or "" ? name : ids.ContainsKey(asked) ? asked : throw Errors.NotFound(
        $"there is no model '{Models.JsonField.Shorten(asked)}' here, expected {string.Join(" or ", ids.Keys.Select(id => $"'{id}'"))}", "model_not_found", "model");

    /// <summary>What a request drops.</summary>
    /// <exception cref="ApiException">It says it in two ways, or asks for what the model can't do.</exception>
    public DialSetting Read(IHeaderDictionary headers, BodyField body, string id)
    {
        var asked = Body(body) ?? Header(headers);
        var request = asked?.Request ?? ids[id];
        return new DialSetting(request, Expected(request, asked?.Field));
    }

    /// <summary>What an id drops, and what each position costs.</summary>
    public DialFacts Facts(string id)
    {
        var request = ids[id];
        var method = Method();
        return new DialFacts(request.IsNone ? 0 : request.Rate, request.MaxKl, Expected(request, null)?.Kl.Value, method.Points[^1].Drop,
            [.. method.Points.Where(p => p.Loss is not null).Select(p => new DialPoint(p.Drop, p.Loss!.Kl.Value, p.Loss.Flips.Value))]);
    }

    /// <summary>Says beforehand what the answer's drop is and what it costs.</summary>
    public static void Tell(HttpContext http, DialSetting setting)
    {
        if (setting.Request.IsNone || setting.Request.Rate is not null)
            http.Response.Headers[DropHeader] = Number(setting.Request.IsNone ? 0 : setting.Request.Rate!.Value);
        if (setting.Expected is { } loss)
            http.Response.Headers[ExpectedHeader] = Number(loss.Kl.Value);
    }

    private static string Number(double value) => value.ToString("0.######", CultureInfo.InvariantCulture);

    private static (DropRequest Request, string Field)? Body(BodyField body)
    {
        var quality = body["quality"];
        if (quality.IsText)
            throw Errors.Unsupported("quality", $"'quality' is {quality.Value.Found}, which isn't there yet: give 'quality' as an object with 'drop' or 'max_kl'");
        BodyField[] fields = [body["drop"], body["max_kl"], .. quality.IsNull ? [] : new[] { quality["drop"], quality["max_kl"] }];
        BodyField[] given = [.. fields.Where(f => !f.IsNull)];
        return given switch
        {
            [] => null,
            [var one] when one.Path.EndsWith("drop", StringComparison.Ordinal) => (new DropRequest { Rate = one.Number(0, 1) }, one.Path),
            [var one] => (new DropRequest { MaxKl = one.Number(0, 1e6) }, one.Path),
            [var one, var other, ..] => throw Errors.Invalid($"the request: '{one.Path}' and '{other.Path}' are two ways to say one thing: give one of them", other.Path),
        };
    }

    private static (DropRequest Request, string Field)? Header(IHeaderDictionary headers)
    {
        string? text = headers[DropHeader];
        return string.IsNullOrEmpty(text) ? null
            : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double rate) && rate is >= 0 and < 1
                ? (new DropRequest { Rate = rate }, DropHeader)
                : throw Errors.Invalid($"the header {DropHeader} is '{text}', expected a number from 0 to below 1", DropHeader);
    }

    private ExpectedLoss? Expected(DropRequest request, string? field)
    {
        if (request.IsNone)
            return s_none;
        try
        {
            var plan = model.Transformer.Plan(request);
            return plan.Expected ?? (plan.AllAdaptive && request is { Rate: { } rate, Generated: null } ? plan.Followed!.Method.LossAt(rate) : null);
        }
        catch (ArgumentException e)
        {
            throw Errors.Invalid(e.Message, field, null, e);
        }
    }

    // The one by which a share is dropped: any share's.
    private DropMethod Method() => model.Transformer.Plan(new DropRequest { Rate = 1e-3 }).Followed!.Method;

    private bool Fits(DropRequest request)
    {
        try
        {
            model.Transformer.Plan(request);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

}

/// <summary>What a request drops, and the loss to expect of it; null: not known.</summary>
internal sealed record DialSetting(DropRequest Request, ExpectedLoss? Expected);
