"""What packages say to people, and say in another voice than we do.

Django, allauth and REST framework call Spanish readers *usted*; we say *tú*. locale/
comes before their own translations, and holds only what the code and the templates
name: so their sentences are named here. Nothing reads this at run time.
"""

from django.utils.translation import gettext_noop as _
from django.utils.translation import ngettext_lazy

FORMS = (
    _("Enter a valid value."),
    _("Enter a valid domain name."),
    _("Enter a valid URL."),
    _("Enter a valid integer."),
    _("Enter a valid email address."),
    _("Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."),
    _(
        "Enter a valid “slug” consisting of Unicode letters, numbers, "
        "underscores, or hyphens."
    ),
    _("Enter a valid %(protocol)s address."),
    _("Enter only digits separated by commas."),
    _("Ensure this value is %(limit_value)s (it is %(show_value)s)."),
    _("Ensure this value is less than or equal to %(limit_value)s."),
    _("Ensure this value is greater than or equal to %(limit_value)s."),
    _("Ensure this value is a multiple of step size %(limit_value)s."),
    _(
        "Ensure this value is a multiple of step size %(limit_value)s, "
        "starting from %(offset)s, e.g. %(offset)s, %(valid_value1)s, "
        "%(valid_value2)s, and so on."
    ),
    ngettext_lazy(
        "Ensure this value has at least %(limit_value)d character (it has "
        "%(show_value)d).",
        "Ensure this value has at least %(limit_value)d characters (it has "
        "%(show_value)d).",
    ),
    ngettext_lazy(
        "Ensure this value has at most %(limit_value)d character (it has "
        "%(show_value)d).",
        "Ensure this value has at most %(limit_value)d characters (it has "
        "%(show_value)d).",
    ),
    ngettext_lazy(
        "Ensure that there are no more than %(max)s digit in total.",
        "Ensure that there are no more than %(max)s digits in total.",
    ),
    ngettext_lazy(
        "Ensure that there are no more than %(max)s decimal place.",
        "Ensure that there are no more than %(max)s decimal places.",
    ),
    ngettext_lazy(
        "Ensure that there are no more than %(max)s digit before the decimal point.",
        "Ensure that there are no more than %(max)s digits before the decimal point.",
    ),
    _("Enter a whole number."),
    _("Enter a number."),
    _("Enter a valid date."),
    _("Enter a valid time."),
    _("Enter a valid date/time."),
    _("Enter a valid duration."),
    _("No file was submitted. Check the encoding type on the form."),
    _("No file was submitted."),
    _("The submitted file is empty."),
    ngettext_lazy(
        "Ensure this filename has at most %(max)d character (it has %(length)d).",
        "Ensure this filename has at most %(max)d characters (it has %(length)d).",
    ),
    _("Please either submit a file or check the clear checkbox, not both."),
    _(
        "Upload a valid image. The file you uploaded was either not an image "
        "or a corrupted image."
    ),
    _("Select a valid choice. %(value)s is not one of the available choices."),
    _("Select a valid choice. That choice is not one of the available choices."),
    _("Enter a list of values."),
    _("Enter a complete value."),
    _("Enter a valid UUID."),
    ngettext_lazy(
        "Please submit at most %(num)d form.", "Please submit at most %(num)d forms."
    ),
    ngettext_lazy(
        "Please submit at least %(num)d form.", "Please submit at least %(num)d forms."
    ),
    _("Please correct the duplicate data for %(field)s."),
    _("Please correct the duplicate data for %(field)s, which must be unique."),
    _(
        "Please correct the duplicate data for %(field_name)s which must be "
        "unique for the %(lookup)s in %(date_field)s."
    ),
    _("Please correct the duplicate values below."),
)

PASSWORDS = (
    _("Your password can’t be too similar to your other personal information."),
    _("Your password can’t be a commonly used password."),
    _("Your password can’t be entirely numeric."),
    ngettext_lazy(
        "Your password must contain at least %(min_length)d character.",
        "Your password must contain at least %(min_length)d characters.",
    ),
    _("You must type the same password each time."),
    _("Forgot your password?"),
    _("Enter the same password as before, for verification."),
    _("Please select only one."),
)

ADMIN_SITE = (
    _("Start typing to filter…"),
    _("The {name} “{obj}” was added successfully. You may add another {name} below."),
    _("The {name} “{obj}” was changed successfully. You may add another {name} below."),
    _("The {name} “{obj}” was changed successfully. You may edit it again below."),
    _("You may edit it again below."),
    _("Select this object for an action - {}"),
    _("Select all objects on this page for an action"),
    _("Click here to select the objects across all pages"),
    _("Select %s"),
    _("Select %s to change"),
    _("Select %s to view"),
    _("No fields changed."),
    _("After you’ve created a user, you’ll be able to edit more user options."),
    _("Enter a new password for the user <strong>%(username)s</strong>."),
    _(
        "Whether the user will be able to authenticate using a password or "
        "not. If disabled, they may still be able to authenticate using other"
        " backends, such as Single Sign-On or LDAP."
    ),
    ngettext_lazy(
        "Please correct the error below.", "Please correct the errors below."
    ),
    _("Conflicting form data submitted. Please try again."),
    _(
        "Deleting the %(object_name)s '%(escaped_object)s' would result in "
        "deleting related objects, but your account doesn't have permission "
        "to delete the following types of objects:"
    ),
    _(
        "Are you sure you want to delete the %(object_name)s "
        '"%(escaped_object)s"? All of the following related items will be '
        "deleted:"
    ),
    _(
        "Deleting the selected %(objects_name)s would result in deleting "
        "related objects, but your account doesn't have permission to delete "
        "the following types of objects:"
    ),
    _(
        "Are you sure you want to delete the selected %(objects_name)s? All "
        "of the following objects and their related items will be deleted:"
    ),
    _(
        "This object doesn’t have a change history. It probably wasn’t added "
        "via this admin site."
    ),
    _(
        "Designates whether this user should be treated as active. Unselect "
        "this instead of deleting accounts."
    ),
    _(
        "The groups this user belongs to. A user will get all permissions "
        "granted to each of their groups."
    ),
)

API = (
    _("A valid integer is required."),
    _("Ensure that there are no more than {max_decimal_places} decimal places."),
    _("Ensure that there are no more than {max_digits} digits in total."),
    _(
        "Ensure that there are no more than {max_whole_digits} digits before "
        "the decimal point."
    ),
    _("Ensure this field has at least {min_length} characters."),
    _("Ensure this field has no more than {max_length} characters."),
    _("Ensure this field has at least {min_length} elements."),
    _("Ensure this field has no more than {max_length} elements."),
    _("Ensure this filename has at most {max_length} characters (it has {length})."),
    _("Ensure this value is greater than or equal to {min_value}."),
    _("Ensure this value is less than or equal to {max_value}."),
    _(
        'Enter a valid "slug" consisting of Unicode letters, numbers, '
        "underscores, or hyphens."
    ),
    _('Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.'),
    _("Enter a valid IPv4 or IPv6 address."),
    _("Date has wrong format. Use one of these formats instead: {format}."),
    _("Datetime has wrong format. Use one of these formats instead: {format}."),
    _("Time has wrong format. Use one of these formats instead: {format}."),
    _("Duration has wrong format. Use one of these formats instead: {format}."),
    _("The submitted data was not a file. Check the encoding type on the form."),
    _("You do not have permission to perform this action."),
)
